"""Nothing behind the gate is reached without an accepted token, too often, or with a body that is too large."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from pgjit.identity.directory import DirectoryUnavailable, PrincipalState
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.registry import Registry
from tests.api.people import NOW, PEOPLE, REVIEWERS, KnownGroups, People

SHAPE = {"type", "title", "status", "reference", "sqlstate"}


def shown(response: httpx.Response) -> tuple[int, str]:
    """Status and reference of a problem, which is one in form."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() >= SHAPE
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:pgjit:error:{problem['reference']}"
    return response.status_code, problem["reference"]


@pytest.fixture
def rates_without_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a test takes, a rate that is used up stays used up."""
    monkeypatch.setattr("pgjit.api.gate.RateLimit", partial(RateLimit, steady=lambda: 0.0))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YWRtaW46YQ=="},
        {"Authorization": "Bearer somebody else"},
        {"Authorization": "admin"},
        {"Authorization": "Bearer \u00e9".encode()},
    ],
)
@pytest.mark.parametrize("path", ["whoami", "openapi.json", "version", "no-such-path", "/", "/docs"])
async def test_no_path_is_served_without_an_accepted_token(
    path: str, headers: dict[str, str], tmp_path: Path
) -> None:
    async with People(tmp_path) as api:
        response = await api.get(path, None, headers=headers)
        assert shown(response) == (401, "token-refused")
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_two_tokens_are_no_token(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        twice = [("Authorization", "Bearer admin"), ("Authorization", "Bearer admin")]
        response = await api._client.get("/api/v1/whoami", headers=twice)
        assert shown(response) == (401, "token-refused")


async def test_an_ended_token_is_refused_and_the_reason_is_for_the_record_only(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.provider.people["admin"] = replace(api.provider.people["admin"], expires_at=NOW)
        response = await api.get("whoami", "admin")
        assert shown(response) == (401, "token-refused")
        assert "ended" not in response.text
        assert api.refused.references == ["expired"]


async def test_unknown_paths_and_methods_have_the_same_shape(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        assert shown(await api.get("no-such-path", "admin")) == (404, "path-unknown")
        assert shown(await api.call("PUT", "whoami", "admin")) == (405, "method-not-allowed")
        assert shown(await api.get("sessions?limit=0", "admin")) == (422, "invalid-call")
        assert shown(await api.get("sessions?cursor=x", "admin")) == (400, "invalid-cursor")


async def test_a_failure_shows_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with People(tmp_path) as api:
        monkeypatch.setattr(Registry, "__iter__", lambda _: 1 / 0)
        response = await api.get("sessions", "admin")
        assert shown(response) == (500, "internal-error")
        assert "division" not in response.text


async def test_every_response_has_the_security_headers_and_none_of_cors(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        for response in (
            await api.get("whoami", "admin", headers={"Origin": "https://elsewhere"}),
            await api.get("whoami", None),
            await api.get("no-such-path", "admin"),
        ):
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["strict-transport-security"] == "max-age=31536000"
            assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_no_browser_keeps_https_for_its_own_machine_or_an_address(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        for host in ("localhost:8432", "127.0.0.1:8432", "[::1]:8432"):
            for person in ("admin", None):
                response = await api.get("whoami", person, headers={"Host": host})
                assert "strict-transport-security" not in response.headers, host


async def test_a_body_over_the_limit_is_refused_declared_or_not(tmp_path: Path) -> None:
    async def pieces() -> object:
        for _ in range(70):
            yield b" " * 1024

    async with People(tmp_path) as api:
        whole = await api.call("POST", "revoke", "admin", content=b" " * 70 * 1024)
        in_pieces = await api.call("POST", "revoke", "admin", content=pieces())
        assert [shown(whole), shown(in_pieces)] == [(413, "body-too-large")] * 2


async def test_calls_are_limited_for_each_caller(tmp_path: Path) -> None:
    async with People(tmp_path, requests_per_minute=2) as api:
        responses = [await api.get("whoami", "admin") for _ in range(3)]
        assert [each.status_code for each in responses] == [200, 200, 429]
        assert int(responses[-1].headers["retry-after"]) > 0
        assert (await api.get("whoami", "auditor")).status_code == 200


@pytest.mark.usefixtures("rates_without_refill")
async def test_tokens_that_are_not_accepted_are_limited_for_each_address(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        statuses = [(await api.get("whoami", "forged")).status_code for _ in range(250)]
        assert 401 in statuses
        assert statuses[-1] == 429


async def test_a_read_uses_an_answer_of_the_last_minute_and_a_change_asks_anew(tmp_path: Path) -> None:
    directory = KnownGroups()
    async with People(tmp_path, directory=directory) as api:
        roles = [(await api.get("whoami", "reviewer")).json()["roles"]]
        directory.groups["oid-reviewer"] = frozenset()
        roles.append((await api.get("whoami", "reviewer")).json()["roles"])
        queries = directory.queries
        assert shown(await api.post("no-such-path", "reviewer", {})) == (404, "path-unknown")
        assert directory.queries > queries
        roles.append((await api.get("whoami", "reviewer")).json()["roles"])
    assert roles == [["reviewer"], ["reviewer"], []]


@pytest.mark.parametrize("account", ["oid-reviewer", "an-app"])
async def test_a_disabled_account_and_a_disabled_app_of_a_person_are_refused(account: str, tmp_path: Path) -> None:
    directory = KnownGroups()
    directory.states[account] = PrincipalState.DISABLED
    async with People(tmp_path, directory=directory) as api:
        assert shown(await api.get("whoami", "reviewer")) == (401, "token-refused")
        assert api.refused.references == ["account-disabled"]


async def test_without_an_answer_of_the_directory_nothing_is_served(tmp_path: Path) -> None:
    class Silent(KnownGroups):
        async def look_up(self, *_: object) -> object:  # type: ignore[override]
            raise DirectoryUnavailable("no answer")

    async with People(tmp_path, directory=Silent()) as api:  # type: ignore[arg-type]
        assert shown(await api.get("whoami", "reviewer")) == (503, "directory-unavailable")


async def test_a_directory_takes_the_place_of_the_groups_in_a_token(tmp_path: Path) -> None:
    directory = KnownGroups()
    directory.groups["oid-admin"] = frozenset({REVIEWERS})
    async with People(tmp_path, directory=directory) as api:
        assert (await api.get("whoami", "admin")).json()["roles"] == ["reviewer"]


@pytest.mark.usefixtures("rates_without_refill")
async def test_refused_tokens_keep_nobody_of_the_same_address_out(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        statuses = [(await api.get("whoami", "forged")).status_code for _ in range(250)]
        assert statuses[-1] == 429
        assert (await api.get("whoami", "admin")).status_code == 200


@pytest.mark.usefixtures("rates_without_refill")
async def test_the_addresses_of_one_ipv6_network_count_together(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        statuses = []
        for number in range(250):
            transport = httpx.ASGITransport(api.application, client=(f"2001:db8::{number:x}", 40000))
            async with httpx.AsyncClient(transport=transport, base_url="https://pgjit") as client:
                statuses.append((await client.get("/api/v1/whoami")).status_code)
        assert statuses[-1] == 429


async def test_an_agent_that_acts_for_a_person_uses_a_rate_of_its_own(tmp_path: Path) -> None:
    async with People(tmp_path, requests_per_minute=2) as api:
        for app in ("an-agent", "another"):
            acting = replace(PEOPLE["admin"], app_id=app, on_behalf_of="oid-admin")
            api.provider.people["acting"] = acting
            statuses = [(await api.get("whoami", "acting")).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]
        assert (await api.get("whoami", "admin")).status_code == 200


async def test_a_refused_call_closes_its_connection_and_others_do_not(tmp_path: Path) -> None:
    async with People(tmp_path, requests_per_minute=2) as api:
        assert (await api.get("whoami", None)).headers["connection"] == "close"
        assert (await api.post("revoke", "admin", {"pad": " " * 70 * 1024})).headers["connection"] == "close"
        assert "connection" not in (await api.get("whoami", "admin")).headers
        assert (await api.get("whoami", "admin")).headers["connection"] == "close"
