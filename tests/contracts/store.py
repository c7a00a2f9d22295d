"""What every window store must do. A store's test file subclasses StoreContract and says how one is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.errors import AccessRefused, CoolingDown, ServerUnavailable
from pgjit.grants.actor import Actor
from pgjit.grants.outbox import OutboxEntry
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.policy.identity_terms import IdentityTerms
from pgjit.policy.policy import Grant, Policy, StatementTerms
from tests.contracts.opened_store import OpenedStore

__all__ = ["ALICE", "BOB", "HOUR", "NOW", "POLICY", "StoreContract", "login", "store_contract_policy"]

NOW = datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALICE = IdentityKey("11111111-1111-4111-8111-111111111111", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
BOB = IdentityKey("11111111-1111-4111-8111-111111111111", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")


def store_contract_policy(name: str = "schema-checks", connection: str = "shop") -> Policy:
    return Policy(
        name=name,
        connection=connection,
        group=GroupId("99999999-9999-4999-8999-999999999999"),
        group_name=None,
        grant=Grant.ON_REQUEST,
        ttl=HOUR,
        cooldown=HOUR,
        record=True,
        statements=StatementTerms(),
        source="schema-checks.yaml",
        version="0" * 64,
    )


POLICY = store_contract_policy()


_ADMIN = Actor(key=BOB, display="Bob", via="api")


def login(source: str = "10.0.0.7", token: str = "t0", ends: datetime = NOW + HOUR) -> Login:
    return Login(source=source, token_id=token, token_ends_at=ends)


class StoreContract(OpenedStore):
    async def test_the_first_admit_opens_a_window_with_the_policys_times(self, store: Store) -> None:
        window, opened = await store.admit(ALICE, POLICY, NOW)
        assert opened
        assert window.id.startswith("w_")
        assert (window.identity, window.policy, window.connection) == (ALICE, "schema-checks", "shop")
        assert (window.opened_at, window.ends_at, window.retry_at) == (NOW, NOW + HOUR, NOW + 2 * HOUR)
        assert window.ends_at.tzinfo is UTC

    async def test_a_later_admit_joins_the_window_and_moves_nothing(self, store: Store) -> None:
        first, _ = await store.admit(ALICE, POLICY, NOW)
        again, opened = await store.admit(ALICE, POLICY, NOW + HOUR - timedelta(microseconds=1))
        assert not opened
        assert again == first

    async def test_times_in_another_zone_come_back_as_the_same_moment_in_utc(self, store: Store) -> None:
        from zoneinfo import ZoneInfo

        there = NOW.astimezone(ZoneInfo("Asia/Kolkata"))
        await store.admit(ALICE, POLICY, there)
        again, _ = await store.admit(ALICE, POLICY, NOW)
        assert again.opened_at == NOW
        assert again.opened_at.utcoffset() == timedelta(0)

    async def test_after_the_end_it_is_refused_until_the_cooldown_is_over(self, store: Store) -> None:
        first, _ = await store.admit(ALICE, POLICY, NOW)
        for late in (HOUR, 2 * HOUR - timedelta(microseconds=1)):
            with pytest.raises(CoolingDown) as caught:
                await store.admit(ALICE, POLICY, NOW + late)
            assert (caught.value.ended_at, caught.value.retry_at) == (NOW + HOUR, NOW + 2 * HOUR)
        second, opened = await store.admit(ALICE, POLICY, NOW + 2 * HOUR)
        assert opened
        assert second.id != first.id
        assert second.opened_at == NOW + 2 * HOUR

    async def test_a_window_belongs_to_one_identity_under_one_policy(self, store: Store) -> None:
        first, _ = await store.admit(ALICE, POLICY, NOW)
        by_bob, bob_opened = await store.admit(BOB, POLICY, NOW)
        other, other_opened = await store.admit(ALICE, store_contract_policy("reports"), NOW)
        assert (bob_opened, other_opened) == (True, True)
        assert len({first.id, by_bob.id, other.id}) == 3

    async def test_an_ended_window_is_not_joined_again(self, store: Store) -> None:
        window, _ = await store.admit(ALICE, POLICY, NOW)
        assert await store.end(window.id, NOW + timedelta(minutes=5), "revoked")
        with pytest.raises(CoolingDown) as caught:
            await store.admit(ALICE, POLICY, NOW + timedelta(minutes=6))
        assert caught.value.ended_at == NOW + timedelta(minutes=5)
        assert caught.value.retry_at == window.retry_at

    async def test_an_end_that_is_set_never_moves(self, store: Store) -> None:
        window, _ = await store.admit(ALICE, POLICY, NOW)
        assert await store.end(window.id, NOW + timedelta(minutes=5), "revoked")
        assert not await store.end(window.id, NOW + timedelta(minutes=50), "ttl")
        with pytest.raises(CoolingDown) as caught:
            await store.admit(ALICE, POLICY, NOW + timedelta(minutes=51))
        assert caught.value.ended_at == NOW + timedelta(minutes=5)

    async def test_a_window_that_nobody_opened_cannot_be_ended(self, store: Store) -> None:
        assert not await store.end("w_unknown", NOW, "revoked")

    async def test_a_clock_that_is_set_back_never_reopens_a_window(self, store: Store) -> None:
        await store.admit(ALICE, POLICY, NOW)
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, POLICY, NOW + HOUR)
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, POLICY, NOW + timedelta(minutes=1))

    async def test_a_shorter_ttl_ends_an_open_window_earlier(self, store: Store) -> None:
        window, _ = await store.admit(ALICE, POLICY, NOW)
        shorter = replace(POLICY, ttl=timedelta(minutes=10))
        joined, _ = await store.admit(ALICE, shorter, NOW + timedelta(minutes=5))
        assert joined == replace(window, ends_at=NOW + timedelta(minutes=10))
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, shorter, NOW + timedelta(minutes=10))

    async def test_a_longer_ttl_gives_an_open_window_no_more_time(self, store: Store) -> None:
        await store.admit(ALICE, POLICY, NOW)
        longer = replace(POLICY, ttl=8 * HOUR)
        joined, _ = await store.admit(ALICE, longer, NOW)
        assert joined.ends_at == NOW + HOUR
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, longer, NOW + HOUR)

    async def test_twenty_admits_at_once_open_one_window(self, store: Store) -> None:
        admitted = await asyncio.gather(*(store.admit(ALICE, POLICY, NOW) for _ in range(20)))
        assert [opened for _, opened in admitted].count(True) == 1
        assert len({window.id for window, _ in admitted}) == 1

    async def test_two_stores_on_the_same_data_open_one_window(self, store: Store, make: Callable[[], Store]) -> None:
        other = make()
        await other.open()
        try:
            admitted = await asyncio.gather(*(s.admit(ALICE, POLICY, NOW) for s in [store, other] * 10))
        finally:
            await other.close()
        assert [opened for _, opened in admitted].count(True) == 1
        assert len({window.id for window, _ in admitted}) == 1

    async def test_a_window_that_is_bound_to_an_address_is_joined_from_there_alone(self, store: Store) -> None:
        bound = replace(POLICY, identity=IdentityTerms(bind_to_source=True))
        opened, _ = await store.admit(ALICE, bound, NOW, login("10.0.0.7"))
        assert opened.source == "10.0.0.7"
        joined, _ = await store.admit(ALICE, bound, NOW, login("10.0.0.7"))
        assert joined == opened
        for other in (login("10.0.0.8"), login("10.0.0.70"), None):
            with pytest.raises(AccessRefused) as refused:
                await store.admit(ALICE, bound, NOW, other)
            assert refused.value.reference == "other-source"
        assert (await store.admit(ALICE, POLICY, NOW, login("10.0.0.8")))[0] == opened  # not bound any more

    async def test_a_token_that_is_taken_once_is_used_up_for_this_policy(
        self, store: Store, make: Callable[[], Store]
    ) -> None:
        once = replace(POLICY, identity=IdentityTerms(single_use_token=True))
        window, _ = await store.admit(ALICE, once, NOW, login(token="t1"))
        assert (await store.admit(ALICE, once, NOW, login(token="t2")))[0] == window
        other = make()
        await other.open()
        try:
            for each in (store, other):
                for used in (login(token="t1"), login(token="t2"), None):
                    with pytest.raises(AccessRefused) as refused:
                        await each.admit(ALICE, once, NOW, used)
                    assert refused.value.reference == "token-used"
        finally:
            await other.close()
        # Nor for the next window, while the token lasts.
        with pytest.raises(AccessRefused) as refused:
            await store.admit(ALICE, once, NOW + 2 * HOUR, login(token="t1", ends=NOW + 3 * HOUR))
        assert refused.value.reference == "token-used"
        assert (await store.admit(ALICE, replace(once, name="other"), NOW, login(token="t1")))[1]

    async def test_one_token_shown_many_times_at_once_opens_one_session(self, store: Store) -> None:
        once = replace(POLICY, identity=IdentityTerms(single_use_token=True))
        admitted = await asyncio.gather(
            *(store.admit(ALICE, once, NOW, login(token="t1")) for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(each, tuple) for each in admitted) == 1

    async def test_a_login_that_is_refused_does_not_use_its_token_up(self, store: Store) -> None:
        both = replace(POLICY, identity=IdentityTerms(single_use_token=True, bind_to_source=True))
        await store.admit(ALICE, both, NOW, login("10.0.0.7", "t1"))
        with pytest.raises(AccessRefused):
            await store.admit(ALICE, both, NOW, login("10.0.0.8", "t2"))
        await store.admit(ALICE, both, NOW, login("10.0.0.7", "t2"))

    async def test_what_was_used_of_a_window_is_kept_and_only_grows(self, make: Callable[[], Store]) -> None:
        first = make()
        await first.open()
        window, _ = await first.admit(ALICE, POLICY, NOW)
        assert await first.usage(window.id) == Usage()
        await first.note_usage(window.id, Usage(5, 500, 2))
        await first.note_usage(window.id, Usage(3, 900, 2))
        await first.close()
        second = make()
        await second.open()
        assert await second.usage(window.id) == Usage(5, 900, 2)
        assert await second.usage("another") == Usage()
        await second.close()

    async def test_two_ends_at_once_set_one(self, store: Store) -> None:
        window, _ = await store.admit(ALICE, POLICY, NOW)
        ends = (store.end(window.id, NOW + timedelta(minutes=m), "revoked") for m in range(1, 9))
        assert (await asyncio.gather(*ends)).count(True) == 1

    async def test_windows_outlive_the_store_object(self, make: Callable[[], Store]) -> None:
        first = make()
        await first.open()
        window, _ = await first.admit(ALICE, POLICY, NOW)
        await first.close()
        second = make()
        await second.open()
        joined, opened = await second.admit(ALICE, POLICY, NOW + timedelta(minutes=1))
        await second.close()
        assert (joined, opened) == (window, False)

    async def test_the_clock_floor_is_the_latest_moment_that_was_seen(self, store: Store) -> None:
        assert await store.clock_floor() is None
        window, _ = await store.admit(ALICE, POLICY, NOW)
        assert await store.clock_floor() == NOW
        await store.admit(ALICE, POLICY, NOW + timedelta(minutes=5))
        assert await store.clock_floor() == NOW + timedelta(minutes=5)
        await store.end(window.id, NOW + timedelta(minutes=9), "revoked")
        await store.admit(BOB, POLICY, NOW + timedelta(minutes=7))
        assert await store.clock_floor() == NOW + timedelta(minutes=9)

    async def test_the_clock_floor_follows_while_nobody_logs_in(self, store: Store) -> None:
        await store.lapse_requests(NOW)
        assert await store.clock_floor() == NOW
        await store.admit(ALICE, POLICY, NOW)
        await store.lapse_requests(NOW + timedelta(seconds=9))
        assert await store.clock_floor() == NOW
        await store.lapse_requests(NOW + timedelta(minutes=55))
        assert await store.clock_floor() == NOW + timedelta(minutes=55)
        await store.lapse_requests(NOW)
        assert await store.clock_floor() == NOW + timedelta(minutes=55)

    async def test_windows_that_nobody_ended_are_found_whether_their_time_is_over_or_not(self, store: Store) -> None:
        assert await store.unended() == []
        first, _ = await store.admit(ALICE, POLICY, NOW)
        second, _ = await store.admit(BOB, POLICY, NOW + 5 * HOUR)
        assert await store.unended() == [first, second]
        await store.end(first.id, NOW + HOUR, "ttl")
        assert await store.unended() == [second]

    async def test_what_the_journal_has_yet_to_be_told_is_kept_with_the_window(
        self, store: Store, make: Callable[[], Store]
    ) -> None:
        first, _ = await store.admit(ALICE, POLICY, NOW, None, "an opening")
        await store.admit(ALICE, POLICY, NOW + timedelta(minutes=1), None, "a join: nothing is due")
        second, _ = await store.admit(BOB, POLICY, NOW, None, "another")
        await store.end(first.id, NOW + HOUR, "ttl", "an end")
        await store.end(first.id, NOW + HOUR, "ttl", "no second one")
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, POLICY, NOW + HOUR, None, "a refusal")
        other = make()
        await other.open()
        try:
            ended = replace(first, ended_at=NOW + HOUR, end_reason="ttl")
            assert await other.outbox() == [
                OutboxEntry("opened", ended, "an opening"),
                OutboxEntry("ended", ended, "an end"),
                OutboxEntry("opened", second, "another"),
            ]
            await other.recorded(first.id, "opened")
            await other.recorded(first.id, "opened")
            assert [each.note for each in await store.outbox()] == ["an end", "another"]
        finally:
            await other.close()

    async def test_without_a_note_nothing_is_due(self, store: Store) -> None:
        window, _ = await store.admit(ALICE, POLICY, NOW)
        await store.end(window.id, NOW + HOUR, "ttl")
        assert await store.outbox() == []

    async def test_a_store_that_is_not_open_admits_nobody(self, make: Callable[[], Store]) -> None:
        store = make()
        with pytest.raises(ServerUnavailable) as caught:
            await store.admit(ALICE, POLICY, NOW)
        assert caught.value.reference == "store-unavailable"
        await store.open()
        await store.close()
        with pytest.raises(ServerUnavailable):
            await store.admit(ALICE, POLICY, NOW)

    async def test_a_window_that_was_lost_is_kept_again_and_not_joined(self, store: Store) -> None:
        lost = Window(
            id="w_lost",
            identity=ALICE,
            policy=POLICY.name,
            connection="shop",
            opened_at=NOW,
            ends_at=NOW + HOUR,
            retry_at=NOW + 2 * HOUR,
            ended_at=NOW + timedelta(minutes=5),
            end_reason="store-lost",
            source="10.0.0.7",
        )
        assert await store.known(["w_lost"]) == {}
        await store.restore([lost], NOW + timedelta(minutes=5))
        assert await store.known(["w_lost", "w_other"]) == {"w_lost": lost}
        assert await store.clock_floor() == NOW + timedelta(minutes=5)
        with pytest.raises(CoolingDown):
            await store.admit(ALICE, POLICY, NOW + timedelta(minutes=6))

    async def test_after_windows_were_lost_an_older_token_counts_as_used(self, store: Store) -> None:
        once = replace(POLICY, identity=IdentityTerms(single_use_token=True))
        await store.restore([], NOW)
        for issued in (None, NOW - HOUR, NOW):
            with pytest.raises(AccessRefused) as refused:
                await store.admit(ALICE, once, NOW, replace(login(), token_issued_at=issued))
            assert refused.value.reference == "token-used"
        fresh = replace(login(), token_issued_at=NOW + timedelta(seconds=1))
        assert (await store.admit(ALICE, once, NOW + timedelta(seconds=2), fresh))[1]
