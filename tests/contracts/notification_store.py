"""What every store must do with notices and notifications. Subclassed as StoreContract is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import orjson
import pytest

from pgjit.grants.lock import Lock
from pgjit.grants.notification import Notice, QueuedNotification
from pgjit.grants.request_lifecycle import approve
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.store import Store
from tests.contracts.store import NOW
from tests.grants.review_cast import ADMIN, CAROL, MINUTE, request, reviewer

__all__ = ["NotificationStoreContract"]

ALL = {"request.made", "request.approved", "lock.set"}
LEASE = timedelta(seconds=60)
CHANNELS = {"ops": ALL, "chat": {"request.made"}}


async def _claim(
    store: Store, now: datetime = NOW, channel: str = "ops", at_most: int = 10
) -> list[QueuedNotification]:
    return await store.claim_notifications(channel, now, now + LEASE, at_most)


async def _lock(store: Store, name: str) -> None:
    scope = Scope(ScopeKind.POLICY, name)
    await store.set_lock(Lock(id=f"l_{name}", scope=scope, reason="stop", set_by=ADMIN, set_at=NOW))


async def _waiting(store: Store) -> dict[str, int]:
    return {channel: each.count for channel, each in (await store.waiting_notifications()).items()}


class NotificationStoreContract:
    @pytest.fixture
    async def notifying(self, make: Callable[[], Store]) -> AsyncIterator[Store]:
        store = make()
        await store.open()
        yield store
        await store.close()

    async def test_a_change_and_its_notice_are_committed_together(self, notifying: Store) -> None:
        made = await notifying.file_request(request(), NOW, at_most=5)
        with pytest.raises(ZeroDivisionError):
            await notifying.change_request(made.id, lambda _: 1 // 0, NOW)  # type: ignore[arg-type,return-value]
        await notifying.change_request(made.id, lambda one: approve(one, reviewer(CAROL), NOW), NOW)
        assert await notifying.spread_notices(CHANNELS, NOW) == 3  # a verdict too, to which nobody subscribes
        assert await _waiting(notifying) == {"chat": 1, "ops": 2}
        (first,) = await _claim(notifying)
        assert (first.event, first.subject, first.attempt) == ("request.made", made.id, 1)
        assert orjson.loads(first.body)["state"] == "pending"

    async def test_a_notice_is_spread_once_by_two_nodes_at_once(
        self, notifying: Store, make: Callable[[], Store]
    ) -> None:
        other = make()
        await other.open()
        try:
            for name in "abcde":
                await _lock(notifying, name)
            counts = await asyncio.gather(*(each.spread_notices(CHANNELS, NOW) for each in (notifying, other)))
            assert sum(counts) == 5
            claims = await asyncio.gather(*(_claim(each) for each in (notifying, other)))
            assert sorted(each.subject for claim in claims for each in claim) == [f"l_{name}" for name in "abcde"]
        finally:
            await other.close()

    async def test_one_subject_is_sent_in_order(self, notifying: Store) -> None:
        made = await notifying.file_request(request(), NOW, at_most=5)
        await notifying.change_request(made.id, lambda one: approve(one, reviewer(CAROL), NOW), NOW)
        await _lock(notifying, "a")
        await notifying.spread_notices(CHANNELS, NOW)
        lock, first = await _claim(notifying)  # a lock goes first
        assert (first.event, lock.event) == ("request.made", "lock.set")
        assert await _claim(notifying) == []
        await notifying.notification_sent(first, NOW, "C1/17.5")
        (second,) = await _claim(notifying)
        assert (second.event, second.earlier_place) == ("request.approved", "C1/17.5")

    async def test_after_the_lease_it_is_claimed_again_as_a_repeat(self, notifying: Store) -> None:
        await _lock(notifying, "a")
        await notifying.spread_notices(CHANNELS, NOW)
        (first,) = await _claim(notifying)
        assert await _claim(notifying, NOW + LEASE - timedelta(seconds=1)) == []
        (again,) = await _claim(notifying, NOW + LEASE)
        assert (again.id, first.attempt, again.attempt) == (first.id, 1, 2)
        # The slow node has lost it: neither its success nor its failure counts.
        await notifying.notification_sent(first, NOW + LEASE, None)
        await notifying.give_up_notification(first, NOW + LEASE, "too late")
        assert await _waiting(notifying) == {"ops": 1}
        await notifying.notification_sent(again, NOW + LEASE, None)
        assert await _waiting(notifying) == {}

    async def test_a_failed_attempt_waits_and_a_given_up_one_is_on_record(self, notifying: Store) -> None:
        await _lock(notifying, "a")
        await notifying.spread_notices(CHANNELS, NOW)
        (first,) = await _claim(notifying)
        await notifying.retry_notification(first, NOW, NOW + MINUTE, "answered 503", report=False)
        assert await _claim(notifying, NOW + MINUTE - timedelta(seconds=1)) == []
        (second,) = await _claim(notifying, NOW + MINUTE)
        assert await self._failures(notifying) == []
        await notifying.retry_notification(second, NOW, NOW + 2 * MINUTE, "token_revoked", report=True)
        (third,) = await _claim(notifying, NOW + 2 * MINUTE)
        await notifying.give_up_notification(third, NOW + 2 * MINUTE, "answered 410")
        assert await self._failures(notifying) == [(2, "token_revoked"), (3, "answered 410")]
        assert await _waiting(notifying) == {}
        assert await notifying.spread_notices(CHANNELS, NOW) == 0  # a failure is no news to spread

    async def test_any_number_that_wait_hold_up_no_other(self, notifying: Store) -> None:
        waiting = [Notice(key=f"k{n}", event="request.made", subject=f"r_{n}", body="{}") for n in range(450)]
        await notifying.add_notifications(waiting, ["ops"], NOW)
        while claimed := await _claim(notifying, at_most=150):
            for each in claimed:
                await notifying.retry_notification(each, NOW, NOW + 10 * MINUTE, "later", report=False)
        later = NOW + 9 * MINUTE
        new = [("request.made", "r_new"), ("break_glass.used", "w_1"), ("lock.set", "l_1")]
        notices = [Notice(key=subject, event=event, subject=subject, body="{}") for event, subject in new]
        await notifying.add_notifications(notices, ["ops"], later)
        assert [each.subject for each in await _claim(notifying, later)] == ["w_1", "l_1", "r_new"]

    async def test_loud_ones_pass_those_that_are_due(self, notifying: Store) -> None:
        due = [Notice(key=f"k{n}", event="request.made", subject=f"r_{n}", body="{}") for n in range(3)]
        loud = Notice(key="bg", event="break_glass.used", subject="w_1", body="{}")
        await notifying.add_notifications([*due, loud], ["ops"], NOW)
        assert [each.subject for each in await _claim(notifying, at_most=2)] == ["w_1", "r_0"]

    async def test_the_recipients_that_are_missing_are_kept(self, notifying: Store) -> None:
        await _lock(notifying, "a")
        await notifying.spread_notices(CHANNELS, NOW)
        (first,) = await _claim(notifying)
        assert first.missing is None
        await notifying.retry_notification(first, NOW, NOW, "some refused", report=False, missing=("b@x", "c@x"))
        (second,) = await _claim(notifying)
        await notifying.retry_notification(second, NOW, NOW, "no answer", report=False)
        (third,) = await _claim(notifying)
        assert (second.missing, third.missing) == (("b@x", "c@x"), ("b@x", "c@x"))

    async def test_a_key_is_added_once_to_a_channel(self, notifying: Store) -> None:
        notice = Notice(key="sign_off.overdue:w_1", event="sign_off.overdue", subject="w_1", body="{}")
        await notifying.add_notifications([notice], ["ops"], NOW)
        await notifying.add_notifications([notice], ["ops", "chat"], NOW)
        assert await _waiting(notifying) == {"chat": 1, "ops": 1}

    async def test_old_ones_are_deleted(self, notifying: Store) -> None:
        await _lock(notifying, "a")
        await _lock(notifying, "b")
        await notifying.spread_notices(CHANNELS, NOW)
        (first,) = await _claim(notifying, at_most=1)
        await notifying.notification_sent(first, NOW, None)
        await notifying.delete_notifications(NOW)
        await _lock(notifying, "c")
        await notifying.spread_notices(CHANNELS, NOW + MINUTE)
        assert [each.subject for each in await _claim(notifying, NOW + MINUTE)] == ["l_b", "l_c"]
        await notifying.delete_notifications(NOW + MINUTE)
        assert await _waiting(notifying) == {"ops": 1}

    async def test_a_node_without_channels_drops_what_no_node_spreads(self, notifying: Store) -> None:
        await _lock(notifying, "a")
        await notifying.drop_notices(NOW, NOW - MINUTE)
        await notifying.drop_notices(NOW + MINUTE, NOW)
        await _lock(notifying, "b")
        await notifying.drop_notices(NOW + 2 * MINUTE, NOW + MINUTE)
        assert await notifying.spread_notices(CHANNELS, NOW) == 1

    async def _failures(self, store: Store) -> list[tuple[int, str]]:
        entries = [each for each in await store.journal_outbox() if each.kind == "notification.failed"]
        notes = [orjson.loads(each.note) for each in entries]
        return [(note["attempts"], note["error"]) for note in notes]
