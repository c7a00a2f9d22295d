"""Nobody approves their own request, by whatever trick, and no program approves any."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pgjit.clock import Clock
from pgjit.grants.holder import Holder
from pgjit.grants.requests import Requests
from pgjit.grants.reviewers import own_keys
from pgjit.grants.store import Store
from pgjit.grants.ties import Ties
from pgjit.identity.directory import DirectoryUnavailable, Owners
from pgjit.identity.identity import Identity, IdentityKey, IdentityKind
from tests.api.memory_store import a_window
from tests.api.people import MEMBERS, PEOPLE, REVIEWERS, TENANT, KnownGroups, People, who

OWNER = PEOPLE["member-reviewer"]
AGENT_FOR_OWNER = who(
    "agent-for-owner", MEMBERS, key=OWNER.key, on_behalf_of=OWNER.key.oid, blueprint_id="a-blueprint"
)
AGENT = who("their-agent", MEMBERS, kind=IdentityKind.AGENT, app_id="an-agent-app")


class OwnedAgent(KnownGroups):
    """A directory in which the agent belongs to one of the reviewers."""

    broken = False
    nobody = False

    async def owners(self, key: IdentityKey, now: datetime) -> Owners:
        if self.broken:
            raise DirectoryUnavailable("Graph answered 503")
        return Owners(principals=frozenset({PEOPLE["reviewer"].key} if key == AGENT.key and not self.nobody else ()))


async def made_by(api: People, asker: Identity) -> Any:
    policy = api.services.policies["reviewed"]
    return await api.services.requests.make(asker, policy, "shop", reason="schema diff")


async def refused(api: People, request: Any, token: str, **options: Any) -> tuple[int, str]:
    response = await api.post(f"requests/{request.id}/approve", token, options.pop("body", {}), **options)
    assert api.store.all_requests[request.id].verdicts == ()
    return response.status_code, response.json()["reference"]


async def test_a_reviewer_cannot_approve_the_own_request(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, OWNER)
        assert await refused(api, request, "member-reviewer") == (403, "own-request")
        path = f"/requests/{request.id}/approve"
        assert api.refusals() == [("member-reviewer", "reviewer", 403, path)]


async def test_a_reviewer_cannot_approve_the_request_of_an_agent_that_acts_for_them(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, AGENT_FOR_OWNER)
        assert await refused(api, request, "member-reviewer") == (403, "own-request")


async def test_an_owner_or_sponsor_cannot_approve_the_request_of_their_agent(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        directory = OwnedAgent()
        api.use(ties=Ties(directory, lambda: api.now))
        request = await made_by(api, AGENT)
        assert await refused(api, request, "reviewer") == (403, "own-request")
        directory.broken = True
        api.use(ties=Ties(directory, lambda: api.now))
        assert await refused(api, request, "reviewer2") == (503, "owners-unknown")
        directory.broken = False
        assert (await api.post(f"requests/{request.id}/approve", "reviewer2", {})).status_code == 200


@pytest.mark.parametrize("token", ["app", "agent", "agent-user", "acted-for"])
async def test_programs_and_those_they_act_for_approve_nothing(token: str, tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, PEOPLE["requester"])
        assert await refused(api, request, token) == (403, "agents-never-review")


async def test_an_app_does_not_approve_its_own_request_by_the_token_of_a_reviewer(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, AGENT)
        api.provider.people["through-the-agent"] = replace(PEOPLE["reviewer"], app_id=AGENT.app_id)
        assert await refused(api, request, "through-the-agent") == (403, "own-request")
        assert (await api.post(f"requests/{request.id}/approve", "reviewer", {})).status_code == 200


async def test_an_agent_that_acted_for_somebody_signs_off_nothing_nor_does_its_owner(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        user = replace(PEOPLE["requester"], app_id=AGENT.key.oid, on_behalf_of="oid-requester")
        window = a_window(
            "glass", user.key, api.now, "reviewed", break_glass=True, ended_at=api.now,
            holder=Holder.of(user), own=own_keys(user),
        )  # fmt: skip
        api.store.all_windows[window.id] = window
        api.use(ties=Ties(OwnedAgent(), lambda: api.now))
        api.provider.people["through-the-agent"] = replace(PEOPLE["reviewer2"], app_id=AGENT.key.oid)
        path = f"windows/{window.id}/sign-off"
        for token in ("reviewer", "through-the-agent"):
            refusal = await api.post(path, token, {"comment": "seen"})
            assert (refusal.status_code, refusal.json()["reference"]) == (403, "own-request")
        assert api.store.all_windows[window.id].signed_off is None
        assert (await api.post(path, "reviewer2", {"comment": "seen"})).status_code == 200


async def test_an_agent_for_a_person_takes_over_no_request_of_that_person(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        user = PEOPLE["requester"]
        api.provider.people["by-agent"] = replace(user, app_id="an-agent-app", on_behalf_of=user.key.oid)
        made = (await api.post("requests", "requester", {"policy": "reviewed", "reason": "diff"})).json()
        assert made["holder"] == {"kind": "user", "app_id": None, "blueprint_id": None, "on_behalf_of": None}
        agent = {"kind": "user", "app_id": "an-agent-app", "blueprint_id": None, "on_behalf_of": user.key.oid}
        for body in ({"policy": "reviewed"}, {"policy": "reviewed", "reason": "diff"}):
            by_agent = (await api.post("requests", "by-agent", body)).json()
            assert (by_agent["id"] != made["id"], by_agent["holder"]) == (True, agent)
        path = f"requests/{made['id']}/withdraw"
        assert (await api.post(path, "by-agent", {})).status_code == 404
        for each in (made, by_agent):  # the person's word counts for both
            assert (await api.post(f"requests/{each['id']}/withdraw", "requester", {})).status_code == 200


async def test_a_revocation_of_an_agent_ends_what_it_opened_for_a_person(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        user = replace(PEOPLE["requester"], app_id="an-agent-app", on_behalf_of="oid-requester")
        window = a_window("one", user.key, api.now, holder=Holder.of(user))
        api.store.all_windows[window.id] = window
        revoked = await api.post("revoke", "admin", {"identity": f"{TENANT}/an-agent-app", "reason": "leaked"})
        assert [each["id"] for each in revoked.json()["items"]] == [window.id]


async def test_an_agent_gives_back_no_window_of_its_person(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        person = PEOPLE["requester"]
        by_agent = replace(person, app_id="an-agent-app", on_behalf_of=person.key.oid)
        api.provider.people["by-agent"] = by_agent
        for name, holder in (("own", person), ("agents", by_agent)):
            window = a_window(name, person.key, api.now, holder=Holder.of(holder))
            api.store.all_windows[window.id] = window
        refusal = await api.post("windows/w_own/revoke", "by-agent", {"reason": "odd"})
        assert (refusal.status_code, refusal.json()["reference"]) == (403, "role-required")
        assert api.store.all_windows["w_own"].revoked_at is None
        for window_id, caller in (("w_agents", "by-agent"), ("w_agents", "requester"), ("w_own", "requester")):
            assert (await api.post(f"windows/{window_id}/revoke", caller, {"reason": "done"})).status_code == 200


async def test_an_owner_who_leaves_the_ownership_after_the_request_does_not_approve_it(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        directory = OwnedAgent()
        ties = Ties(directory, lambda: api.now)
        requests = Requests(cast(Store, api.store), cast(Clock, lambda: api.now), api.policies.get, ties)
        api.use(ties=ties, requests=requests)
        request = await made_by(api, AGENT)
        directory.nobody = True
        api.now += timedelta(minutes=2)
        assert await refused(api, request, "reviewer") == (403, "own-request")
        directory.broken = True
        api.now += timedelta(minutes=2)
        again = await api.services.requests.make(AGENT, api.services.policies["reviewed"], "shop", reason="another")
        assert again.owners == frozenset()


async def test_another_spelling_of_the_own_identity_is_the_own_identity(tmp_path: Path) -> None:
    """Providers write GUIDs in lower case; display names are never compared."""
    async with People(tmp_path) as api:
        request = await made_by(api, OWNER)
        api.provider.people["renamed"] = replace(OWNER, display="Somebody Else")
        assert await refused(api, request, "renamed") == (403, "own-request")


async def test_a_second_group_makes_no_second_person(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        policy = api.services.policies["reviewed"]
        assert policy.terms.review is not None
        review = replace(policy.terms.review, approvals=2, groups=(REVIEWERS, MEMBERS))
        api.services.policies["reviewed"] = replace(policy, terms=replace(policy.terms, review=review))
        request = await made_by(api, PEOPLE["requester"])
        for _ in range(2):
            response = await api.post(f"requests/{request.id}/approve", "member-reviewer", {})
            assert (response.status_code, response.json()["state"]) == (200, "pending")
        assert len(api.store.all_requests[request.id].verdicts) == 1
        done = await api.post(f"requests/{request.id}/approve", "reviewer", {})
        assert [each["by"]["oid"] for each in done.json()["verdicts"]] == ["oid-member-reviewer", "oid-reviewer"]
        assert done.json()["state"] == "approved"


async def test_the_key_of_another_caller_replays_nothing(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, OWNER)
        key = {"Idempotency-Key": '"7d9c"'}
        assert await refused(api, request, "member-reviewer", headers=key) == (403, "own-request")
        approved = await api.post(f"requests/{request.id}/approve", "reviewer", {}, headers=key)
        assert (approved.status_code, approved.json()["state"]) == (200, "approved")
        again = await api.post(f"requests/{request.id}/approve", "reviewer", {}, headers=key)
        assert again.json() == approved.json()
        own = await api.post(f"requests/{request.id}/approve", "member-reviewer", {}, headers=key)
        assert (own.status_code, own.json()["reference"]) == (403, "own-request")
        other = await api.post(f"requests/{request.id}/refuse", "reviewer", {"reason": "no"}, headers=key)
        assert (other.status_code, other.json()["reference"]) == (422, "key-reused")


async def test_the_digest_of_an_older_version_approves_nothing(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        older = await made_by(api, PEOPLE["requester"])
        policy = api.services.policies["reviewed"]
        newer = await api.services.requests.make(PEOPLE["requester"], policy, "shop", reason="something else")
        body = {"digest": older.ask.digest}
        assert await refused(api, newer, "reviewer", body=body) == (409, "approval-void")


async def test_a_policy_that_changed_since_voids_the_approval(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, PEOPLE["requester"])
        api.policies["reviewed"] = replace(api.policies["reviewed"], version="1" * 64)
        assert await refused(api, request, "reviewer") == (409, "approval-void")


async def test_the_admin_role_approves_nothing(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, PEOPLE["requester"])
        assert await refused(api, request, "admin") == (403, "role-required")


async def test_a_person_without_the_group_of_this_policy_approves_nothing(tmp_path: Path) -> None:
    async with People(tmp_path, directory=KnownGroups()) as api:
        request = await made_by(api, PEOPLE["requester"])
        stored = api.store.all_requests[request.id]
        review = replace(stored.review, groups=(MEMBERS,))
        api.store.all_requests[request.id] = replace(stored, review=review)
        assert await refused(api, request, "reviewer") == (403, "not-a-reviewer")


async def test_the_tenant_is_part_of_an_identity(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, OWNER)
        assert request.ask.identity.tid == TENANT
        twin = replace(OWNER, key=IdentityKey("8d0f7780-8536-4def-a55c-f18ad2a01bf8", OWNER.key.oid))
        api.provider.people["twin"] = twin
        assert (await api.post(f"requests/{request.id}/approve", "twin", {})).status_code == 200


async def test_a_sponsor_cannot_sign_off_the_window_of_their_agent(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        window = a_window("glass", AGENT.key, api.now, "reviewed", break_glass=True, ended_at=api.now)
        api.store.all_windows[window.id] = window
        directory = OwnedAgent()
        api.use(ties=Ties(directory, lambda: api.now))
        path = f"windows/{window.id}/sign-off"
        refusal = await api.post(path, "reviewer", {"comment": "seen"})
        assert (refusal.status_code, refusal.json()["reference"]) == (403, "own-request")
        assert api.store.all_windows[window.id].signed_off is None
        assert (await api.post(path, "reviewer2", {"comment": "seen"})).status_code == 200


async def test_a_request_that_lapsed_is_not_approved_and_a_decided_one_not_again(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await made_by(api, PEOPLE["requester"])
        assert (await api.post(f"requests/{request.id}/approve", "reviewer", {})).status_code == 200
        again = await api.post(f"requests/{request.id}/approve", "reviewer2", {})
        assert (again.status_code, again.json()["reference"]) == (409, "request-decided")
        assert len(api.store.all_requests[request.id].verdicts) == 1
        late = await api.services.requests.make(
            PEOPLE["requester"], api.services.policies["reviewed"], "shop", reason="another"
        )
        api.store.all_requests[late.id] = replace(late, lapses_at=api.now)
        assert await refused(api, late, "reviewer") == (409, "request-lapsed")
