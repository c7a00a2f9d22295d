"""What every store must do with requests, locks and revocations. Subclassed as StoreContract is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime

import pytest

from pgjit.errors import AccessRefused, CoolingDown
from pgjit.grants.holder import Holder
from pgjit.grants.listing import RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_lifecycle import approve, refuse
from pgjit.grants.request_refusals import (
    AccessRevoked,
    RequestDecided,
    RequestLapsed,
    ReviewNeeded,
    ReviewRefused,
    TooManyRequests,
)
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.store import Store
from pgjit.grants.window import LoginAsk, SignOff
from pgjit.identity.identity import IdentityKind
from pgjit.policy.grant_terms import GrantTerms
from tests.contracts.store import ALICE, BOB, HOUR, NOW, POLICY, login
from tests.grants.review_cast import ADMIN, CAROL, DAVE, MINUTE, REVIEWED, request, reviewer

__all__ = ["ReviewedStoreContract"]


async def _approved(store: Store, now: datetime = NOW) -> Request:
    made = await store.file_request(request(now=now), now, at_most=5)
    return await store.change_request(made.id, lambda one: approve(one, reviewer(CAROL), now), now)


async def _refusal(store: Store, now: datetime, ask: LoginAsk | None = None) -> str:
    with pytest.raises(AccessRefused) as refused:
        await store.admit(ALICE, REVIEWED, now, ask=ask)
    return refused.value.reference


class ReviewedStoreContract:
    @pytest.fixture
    async def reviewed(self, make: Callable[[], Store]) -> AsyncIterator[Store]:
        store = make()
        await store.open()
        yield store
        await store.close()

    async def test_no_window_opens_without_an_approval(self, reviewed: Store) -> None:
        assert await _refusal(reviewed, NOW) == "review-needed"
        await reviewed.file_request(request(), NOW, at_most=5)
        assert await _refusal(reviewed, NOW) == "review-needed"
        assert (await reviewed.windows(WindowFilter())).items == ()

    async def test_an_approval_opens_one_window_and_is_used_up(self, reviewed: Store) -> None:
        approved = await _approved(reviewed)
        logins = [reviewed.admit(ALICE, REVIEWED, NOW + MINUTE) for _ in range(2)]
        (first, _), (second, _) = await asyncio.gather(*logins)
        assert first.id == second.id
        used = await reviewed.request(approved.id)
        assert used is not None
        assert (used.state, used.window, first.request) == (RequestState.USED, first.id, used.id)
        assert await _refusal(reviewed, NOW + 3 * HOUR) == "review-needed"

    @pytest.mark.parametrize("ask", [LoginAsk(reason="another"), LoginAsk(ticket="T-1"), LoginAsk(ttl=MINUTE)])
    async def test_an_approval_is_for_exactly_what_was_asked(self, reviewed: Store, ask: LoginAsk) -> None:
        await _approved(reviewed)
        assert await _refusal(reviewed, NOW, ask) == "review-needed"
        changed = replace(REVIEWED, version="1" * 64)
        with pytest.raises(AccessRefused):
            await reviewed.admit(ALICE, changed, NOW)
        assert (await reviewed.admit(ALICE, REVIEWED, NOW))[1]

    async def test_an_approval_is_used_by_the_holder_that_asked_and_its_window_too(self, reviewed: Store) -> None:
        agent = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of=ALICE.oid)
        by_agent = replace(login(), holder=agent, own=frozenset({ALICE, CAROL}))
        by_user = replace(login(), holder=Holder(kind=IdentityKind.USER), own=frozenset({ALICE}))
        asked = replace(request(), ask=replace(request().ask, holder=by_user.holder))
        await reviewed.file_request(asked, NOW, at_most=1)
        other = replace(asked, id="r_2", ask=replace(asked.ask, holder=agent))
        assert (await reviewed.file_request(other, NOW, at_most=1)).id == "r_2"  # each has a limit of its own
        await reviewed.change_request(asked.id, lambda one: approve(one, reviewer(CAROL), NOW), NOW)
        with pytest.raises(ReviewNeeded):
            await reviewed.admit(ALICE, REVIEWED, NOW, by_agent)
        window, opened = await reviewed.admit(ALICE, REVIEWED, NOW, by_user)
        assert opened
        assert await reviewed.window(window.id) == window
        assert (window.holder, window.own) == (by_user.holder, by_user.own)
        with pytest.raises(ReviewNeeded):
            await reviewed.admit(ALICE, REVIEWED, NOW, by_agent)
        assert await reviewed.admit(ALICE, REVIEWED, NOW, by_user) == (window, False)
        await reviewed.change_request("r_2", lambda one: approve(one, reviewer(DAVE), NOW), NOW)
        second, opened = await reviewed.admit(ALICE, REVIEWED, NOW, by_agent)
        assert (opened, second.request, second.ends_at) == (True, "r_2", window.ends_at)

    async def test_a_person_who_was_refused_does_not_ask_again_through_an_agent(self, reviewed: Store) -> None:
        agent, person = (
            Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of=ALICE.oid),
            Holder(kind=IdentityKind.USER),
        )
        asked = {
            holder: replace(request(), id=f"r_{n}", ask=replace(request().ask, holder=holder))
            for n, holder in enumerate((agent, person, replace(agent, app_id="another")))
        }
        first, second, third = asked.values()
        await reviewed.file_request(first, NOW, at_most=5)
        await reviewed.change_request(first.id, lambda one: refuse(one, reviewer(CAROL), NOW, reason="no"), NOW)
        await reviewed.file_request(second, NOW, at_most=5)  # the agent's refusal is not the person's
        await reviewed.change_request(second.id, lambda one: refuse(one, reviewer(CAROL), NOW, reason="no"), NOW)
        for refused in (replace(first, id="r_3"), replace(second, id="r_4"), third):
            with pytest.raises(ReviewRefused):
                await reviewed.file_request(refused, NOW + MINUTE, at_most=5)

    async def test_an_agent_has_a_window_beside_its_person_and_no_more_time(self, reviewed: Store) -> None:
        """Where nobody reviews: the same end, one cooldown, and a revocation of the agent ends its window alone."""
        agent = Holder(kind=IdentityKind.USER, app_id=CAROL.oid, on_behalf_of=ALICE.oid)
        by_agent = replace(login(), holder=agent, own=frozenset({ALICE, CAROL}))
        by_user = replace(login(), holder=Holder(kind=IdentityKind.USER), own=frozenset({ALICE}))
        window, _ = await reviewed.admit(ALICE, POLICY, NOW, by_user)
        later, first_end = NOW + MINUTE, window.ends_at
        beside, opened = await reviewed.admit(ALICE, POLICY, later, by_agent)
        assert (opened, beside.opened_at, beside.ends_at) == (True, later, first_end)
        assert await reviewed.admit(ALICE, POLICY, later, by_user) == (window, False)
        revoked = await reviewed.revoke(Scope.of_identity(CAROL), ADMIN, "odd", later)
        assert [each.id for each in revoked] == [beside.id]
        with pytest.raises(AccessRevoked):
            await reviewed.admit(ALICE, POLICY, later, by_agent)
        assert await reviewed.admit(ALICE, POLICY, later, by_user) == (window, False)
        await reviewed.end(beside.id, later, "revoked")
        await reviewed.end(window.id, first_end, "ttl")
        another = replace(by_agent, holder=replace(agent, app_id="another"))
        for one in (by_user, by_agent, another):
            with pytest.raises(AccessRefused):
                await reviewed.admit(ALICE, POLICY, first_end + MINUTE, one)
        after = window.retry_at
        assert (await reviewed.admit(ALICE, POLICY, after, another))[0].ends_at == after + (first_end - NOW)

    async def test_an_approval_that_nobody_used_in_time_lapses(self, reviewed: Store) -> None:
        approved = await _approved(reviewed)
        assert await _refusal(reviewed, NOW + 15 * MINUTE) == "review-needed"
        lapsed = await reviewed.request(approved.id)
        assert lapsed is not None
        assert lapsed.state is RequestState.LAPSED
        assert await _refusal(reviewed, NOW) == "review-needed"  # the clock was set back

    async def test_the_same_question_finds_the_request_and_another_one_voids_it(self, reviewed: Store) -> None:
        first = await reviewed.file_request(request("r_1"), NOW, at_most=2)
        assert (await reviewed.file_request(request("r_2"), NOW, at_most=2)).id == first.id
        other = await reviewed.file_request(request("r_3", reason="another"), NOW, at_most=2)
        states = {one.id: one.state for one in (await reviewed.requests(RequestFilter())).items}
        assert states == {"r_1": RequestState.WITHDRAWN, other.id: RequestState.PENDING}
        with pytest.raises(TooManyRequests):
            await reviewed.file_request(request("r_4", reason="a third"), NOW, at_most=2)

    async def test_two_verdicts_at_once_are_both_kept_and_decide_once(self, reviewed: Store) -> None:
        made = await reviewed.file_request(request(approvals=2), NOW, at_most=5)
        await asyncio.gather(
            *(
                reviewed.change_request(made.id, lambda one, who=who: approve(one, reviewer(who), NOW), NOW)  # type: ignore[misc]
                for who in (CAROL, DAVE, CAROL)
            )
        )
        decided = await reviewed.request(made.id)
        assert decided is not None
        assert (decided.state, len(decided.verdicts)) == (RequestState.APPROVED, 2)

    async def test_of_an_approval_and_a_refusal_the_first_decides(self, reviewed: Store) -> None:
        approved = await _approved(reviewed)
        with pytest.raises(RequestDecided, match="already approved"):
            await reviewed.change_request(approved.id, lambda one: refuse(one, reviewer(DAVE), NOW, reason="no"), NOW)

    async def test_a_late_verdict_finds_the_request_lapsed(self, reviewed: Store) -> None:
        made = await reviewed.file_request(request(), NOW, at_most=5)
        for now in (NOW + HOUR, NOW):
            with pytest.raises((RequestLapsed, RequestDecided)):
                await reviewed.change_request(made.id, lambda one: approve(one, reviewer(CAROL), NOW), now)

    async def test_a_lock_lets_nothing_open_or_join_until_it_is_lifted(self, reviewed: Store) -> None:
        await reviewed.admit(BOB, POLICY, NOW)
        lock = Lock(id="l_1", scope=Scope(ScopeKind.CONNECTION, "shop"), reason="x", set_by=ADMIN, set_at=NOW)
        await reviewed.set_lock(lock)
        for who in (ALICE, BOB):
            with pytest.raises(AccessRefused, match="locked"):
                await reviewed.admit(who, POLICY, NOW)
        assert (await reviewed.standing_orders(NOW)).locks == (lock,)
        assert await reviewed.lift_lock("l_1", ADMIN, "over", NOW) is not None
        assert await reviewed.lift_lock("l_1", ADMIN, "over", NOW) is None
        assert (await reviewed.admit(ALICE, POLICY, NOW))[1]

    async def test_a_revoked_window_is_not_joined_and_no_new_one_opens(self, reviewed: Store) -> None:
        window, _ = await reviewed.admit(ALICE, POLICY, NOW)
        scope = Scope(ScopeKind.WINDOW, window.id)
        revoked = await reviewed.revoke(scope, ADMIN, "it reads too much", NOW + MINUTE)
        assert [one.id for one in revoked] == [window.id]
        assert await reviewed.revoke(scope, ADMIN, "again", NOW + MINUTE) == []
        assert [one.id for one in (await reviewed.standing_orders(NOW)).revoked] == [window.id]
        with pytest.raises(AccessRefused, match="revoked"):
            await reviewed.admit(ALICE, POLICY, NOW + 2 * MINUTE)
        await reviewed.end(window.id, NOW + MINUTE, "revoked")
        assert (await reviewed.standing_orders(NOW)).revoked == ()
        assert (await reviewed.admit(ALICE, POLICY, window.retry_at))[1]

    async def test_a_revocation_withdraws_what_was_approved(self, reviewed: Store) -> None:
        await _approved(reviewed)
        await reviewed.revoke(Scope(ScopeKind.ALL), ADMIN, "incident 7", NOW)
        assert await _refusal(reviewed, NOW) == "review-needed"

    async def test_a_policy_gives_so_many_windows_a_day(self, reviewed: Store) -> None:
        twice = replace(POLICY, terms=GrantTerms(max_per_day=2))
        for start in (NOW, NOW + 2 * HOUR):
            await reviewed.admit(ALICE, twice, start)
        with pytest.raises(AccessRefused, match="no more windows"):
            await reviewed.admit(ALICE, twice, NOW + 4 * HOUR)
        assert (await reviewed.admit(ALICE, twice, NOW + 24 * HOUR))[1]

    async def test_break_glass_waits_for_a_sign_off_of_another_person(self, reviewed: Store) -> None:
        loud = replace(POLICY, terms=GrantTerms(break_glass=True))
        window, _ = await reviewed.admit(ALICE, loud, NOW, ask=LoginAsk(reason="the shop is down"))
        assert [one.id for one in (await reviewed.windows(WindowFilter(unsigned=True))).items] == [window.id]
        with pytest.raises(AccessRefused, match="not over yet"):
            await reviewed.sign_off(window.id, SignOff(by=ADMIN, comment="fine", at=NOW))
        await reviewed.end(window.id, NOW + HOUR, "ttl")
        with pytest.raises(AccessRefused, match="their own"):
            await reviewed.sign_off(window.id, SignOff(by=replace(ADMIN, key=ALICE), comment="fine", at=NOW))
        await reviewed.sign_off(window.id, SignOff(by=ADMIN, comment="fine", at=NOW))
        assert (await reviewed.windows(WindowFilter(unsigned=True))).items == ()
        kinds = [entry.kind for entry in await reviewed.journal_outbox()]
        assert kinds == ["break_glass.used", "break_glass.signed_off"]

    async def test_a_kill_stands_until_the_session_is_gone(self, reviewed: Store) -> None:
        kill = SessionKill(session_id="s_1", reason="it hangs", by=ADMIN, at=NOW)
        for _ in range(2):
            await reviewed.kill_session(kill)
        assert (await reviewed.standing_orders(NOW)).kills == (kill,)
        entries = await reviewed.journal_outbox()
        assert [entry.kind for entry in entries] == ["session.killed"]
        await reviewed.journal_took([entry.id for entry in entries])
        await reviewed.session_ended("s_1")
        assert (await reviewed.standing_orders(NOW)).kills == ()
        assert await reviewed.journal_outbox() == []

    async def test_a_list_comes_in_pages_and_knows_its_cursors(self, reviewed: Store) -> None:
        policies = [replace(POLICY, name=f"p{number}") for number in range(3)]
        opened = [(await reviewed.admit(ALICE, policy, NOW))[0] for policy in policies]
        first = await reviewed.windows(WindowFilter(identity=ALICE), limit=2)
        second = await reviewed.windows(WindowFilter(identity=ALICE), first.next, limit=2)
        assert [*first.items, *second.items] == opened[::-1]
        assert second.next is None
        with pytest.raises(ValueError, match="cursor"):
            await reviewed.windows(WindowFilter(), "1; DROP TABLE windows")

    async def test_cooling_down_is_as_before(self, reviewed: Store) -> None:
        await _approved(reviewed)
        await reviewed.admit(ALICE, REVIEWED, NOW)
        with pytest.raises(CoolingDown):
            await reviewed.admit(ALICE, REVIEWED, NOW + HOUR)
