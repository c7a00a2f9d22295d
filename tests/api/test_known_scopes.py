"""A misspelt policy or connection is an error, as nothing would be stopped; one that still has windows is revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.api.bodies import identity_target
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.directory import PrincipalState
from pgjit.identity.identity import IdentityKey
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, TENANT, KnownGroups, People

WHY = {"reason": "astray"}


@pytest.mark.parametrize("path", ["revoke", "locks"])
@pytest.mark.parametrize("scope", [{"policy": "readign"}, {"connection": "shpo"}])
async def test_a_name_that_pgjit_does_not_have_is_not_found(path: str, scope: dict[str, str], tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        response = await api.post(path, "admin", {**scope, **WHY})
        assert response.status_code == 404, response.text
        assert next(iter(scope.values())) in response.text


async def test_a_known_name_without_a_window_is_revoked_for_nothing(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        response = await api.post("revoke", "admin", {"policy": "reading", **WHY})
        assert (response.status_code, response.json()["items"]) == (200, [])


async def test_windows_of_a_policy_that_only_another_node_has_are_revoked(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        window = a_window("1", PEOPLE["requester"].key, NOW, "elsewhere")
        api.store.all_windows[window.id] = window
        response = await api.post("revoke", "admin", {"policy": "elsewhere", **WHY})
        assert [each["id"] for each in response.json()["items"]] == [window.id]


@pytest.mark.parametrize(
    "subject", ["0123456789abcdef0123456789abcdef", "0F8FAD5B-D9CB-469F-A165-70867728950E", "auth0|A/b", "{x}"]
)
async def test_a_subject_of_openid_connect_is_locked_to_the_letter(subject: str, tmp_path: Path) -> None:
    issuer = "https://idp.example/realm"
    async with People(tmp_path) as api:
        response = await api.post("locks", "admin", {"identity": f"{issuer}/{subject}", **WHY})
        target = response.json()["target"]
        assert Scope(ScopeKind.IDENTITY, target).covers(IdentityKey(issuer, subject), "p", "c")


@pytest.mark.parametrize("text", [f"{TENANT.upper()}/{TENANT.upper()}", f"{{{TENANT}}}/{TENANT.replace('-', '')}"])
def test_ids_of_entra_are_guids_in_lower_case(text: str) -> None:
    assert identity_target(text) == f"{TENANT}/{TENANT}"


async def test_a_lock_of_an_identity_that_nobody_has_seen_says_so(tmp_path: Path) -> None:
    directory = KnownGroups()
    directory.states = {"misspelt": PrincipalState.DELETED, "left": PrincipalState.DELETED}
    async with People(tmp_path, directory=directory) as api:
        window = a_window("1", IdentityKey(TENANT, "left"), NOW, "reading")
        api.store.all_windows[window.id] = window
        seen = {
            name: (await api.post("locks", "admin", {"identity": f"{TENANT}/{name}", **WHY})).json()["identity_known"]
            for name in ("misspelt", "left", "oid-other")
        }
        assert seen == {"misspelt": False, "left": True, "oid-other": True}
        policy = await api.post("locks", "admin", {"policy": "reading", **WHY})
        assert policy.json()["identity_known"] is None
