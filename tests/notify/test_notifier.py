"""The loop that sends: retries, repeats after a crash, channels that hang, and a store that is gone for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgjit.audit.review_event import NotificationFailed
from pgjit.errors import ServerUnavailable
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.window import SignOff
from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.notifier import Notifier, Subscription, delay_after
from pgjit.policy.grant_terms import GrantTerms
from pgjit.proxy.window.review_records import event_of
from tests.contracts.store import ALICE, NOW, POLICY
from tests.grants.review_cast import ADMIN, MINUTE, request

EVENTS = frozenset({"request.made", "request.lapsed", "lock.set", "sign_off.due", "sign_off.overdue"})
SECOND = timedelta(seconds=1)


class FakeChannel:
    """Raises the next of `faults`; keeps what it was given."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.sent: list[Announcement] = []
        self.hanging: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def send(self, announcement: Announcement) -> str | None:
        self.sent.append(announcement)
        self.arrived.set()
        if self.hanging is not None:
            await self.hanging.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        return f"place of {announcement.event}"


class Scene:
    """A store, a clock that is set by hand, and a notifier on them."""

    def __init__(self, path: Path, **channels: FakeChannel) -> None:
        self.store = SqlStore(SqliteDatabase(path, shared=True), node="n1")
        self.now = NOW
        self.policy = replace(POLICY, terms=GrantTerms(sign_off_within=timedelta(hours=2)))
        self.notifier = self.restarted(**channels)

    def restarted(self, **channels: FakeChannel) -> Notifier:
        subscriptions = {name: Subscription(each, EVENTS) for name, each in channels.items()}
        return Notifier(self.store, self.clock, subscriptions, lambda _: self.policy, chance=lambda: 1.0)

    def clock(self) -> datetime:
        return self.now

    async def lock(self, name: str = "a") -> None:
        scope = Scope(ScopeKind.POLICY, name)
        await self.store.set_lock(Lock(id=f"l_{name}", scope=scope, reason="stop", set_by=ADMIN, set_at=NOW))

    async def failures(self) -> list[tuple[int, str]]:
        """What the journal gets of them."""
        events = [event_of(each) for each in await self.store.journal_outbox()]
        return [(each.attempts, each.error) for each in events if isinstance(each, NotificationFailed)]

    async def waiting(self) -> int:
        return sum(each.count for each in (await self.store.waiting_notifications()).values())


@asynccontextmanager
async def scene(path: Path, **channels: FakeChannel) -> AsyncIterator[Scene]:
    made = Scene(path / "store.sqlite3", **channels)
    await made.store.open()
    try:
        yield made
    finally:
        await made.store.close()


def test_the_delays_grow_to_a_bound_and_a_receiver_may_ask_for_more() -> None:
    waits = [delay_after(attempt, None, 1.0).total_seconds() for attempt in (1, 2, 3, 8, 1000)]
    assert waits == [5, 10, 20, 600, 600]
    assert delay_after(2, None, 0.0) == 5 * SECOND
    assert delay_after(1, 90.0, 1.0) == 90 * SECOND
    assert delay_after(1, 1e9, 1.0) == timedelta(hours=1)


async def test_a_failed_attempt_is_made_again_when_it_is_due(tmp_path: Path) -> None:
    ops = FakeChannel(NotSent("answered 503"), NotSent("answered 429", after=60))
    async with scene(tmp_path, ops=ops) as each:
        await each.lock()
        await each.notifier.spread()
        assert await each.notifier.send_due("ops") == 1
        assert await each.notifier.send_due("ops") == 0
        each.now += 5 * SECOND
        assert await each.notifier.send_due("ops") == 1
        each.now += 59 * SECOND
        assert await each.notifier.send_due("ops") == 0
        each.now += SECOND
        assert await each.notifier.send_due("ops") == 1
        assert [one.attempt for one in ops.sent] == [1, 2, 3]
        assert len({one.id for one in ops.sent}) == 1
        assert (await each.waiting(), await each.failures()) == (0, [])


async def test_how_many_wait_and_how_long_is_counted_now_and_then(tmp_path: Path) -> None:
    ops, chat = FakeChannel(NotSent("answered 503")), FakeChannel()
    async with scene(tmp_path, ops=ops, chat=chat) as each:
        await each.notifier.spread()
        assert each.notifier.waiting == {"ops": (0, 0.0), "chat": (0, 0.0)}
        await each.lock("one")
        await each.lock("two")
        each.now += 10 * SECOND
        await each.notifier.spread()
        assert await each.notifier.send_due("chat") == 2
        assert {count for count, _ in each.notifier.waiting.values()} == {2}
        each.now += 30 * SECOND
        await each.notifier.spread()
        assert each.notifier.waiting == {"ops": (2, 30.0), "chat": (0, 0.0)}


async def test_the_next_attempt_is_for_the_recipients_that_are_missing(tmp_path: Path) -> None:
    ops = FakeChannel(NotSent("one is refused for now", missing=("b@x",)), NotSent("no answer"))
    async with scene(tmp_path, ops=ops) as each:
        await each.lock()
        await each.notifier.spread()
        for _ in range(3):
            await each.notifier.send_due("ops")
            each.now += MINUTE
        assert [one.missing for one in ops.sent] == [None, ("b@x",), ("b@x",)]


async def test_what_never_succeeds_or_not_in_time_is_given_up_on_record(tmp_path: Path) -> None:
    ops = FakeChannel(NeverSent("answered 410"), NotSent("token_revoked", report=True), NotSent("answered 500"))
    async with scene(tmp_path, ops=ops) as each:
        await each.lock("a")
        await each.notifier.spread()
        await each.notifier.send_due("ops")
        await each.lock("b")
        await each.notifier.spread()
        await each.notifier.send_due("ops")
        each.now += timedelta(days=1)
        await each.notifier.send_due("ops")
        assert await each.failures() == [
            (1, "answered 410"),
            (1, "token_revoked"),
            (2, "answered 500"),
        ]
        assert await each.waiting() == 0


async def test_a_cause_that_a_person_has_to_remove_is_on_record_once(tmp_path: Path) -> None:
    revoked = NotSent("token_revoked", report=True)
    ops = FakeChannel(NotSent("no answer"), revoked, revoked, NotSent("channel_not_found", report=True))
    async with scene(tmp_path, ops=ops) as each:
        await each.lock()
        await each.notifier.spread()
        for _ in range(5):
            await each.notifier.send_due("ops")
            each.now += timedelta(minutes=10)
        assert await each.failures() == [(2, "token_revoked"), (4, "channel_not_found")]
        assert await each.waiting() == 0


async def test_a_fault_of_a_channels_code_stops_nothing(tmp_path: Path) -> None:
    ops = FakeChannel(RuntimeError("a bug"))
    async with scene(tmp_path, ops=ops) as each:
        await each.lock()
        await each.notifier.spread()
        await each.notifier.send_due("ops")
        each.now += 5 * SECOND
        await each.notifier.send_due("ops")
        assert await each.waiting() == 0


async def test_killed_between_commit_and_sending_the_next_process_sends(tmp_path: Path) -> None:
    before, after = FakeChannel(), FakeChannel()
    async with scene(tmp_path, ops=before) as each:
        await each.store.file_request(request(), NOW, at_most=5)
        await each.store.close()
        await each.store.open()
        notifier = each.restarted(ops=after)
        await notifier.spread()
        await notifier.send_due("ops")
        assert (before.sent, [one.attempt for one in after.sent]) == ([], [1])


async def test_killed_between_sending_and_marking_the_next_process_sends_a_repeat(tmp_path: Path) -> None:
    before, after = FakeChannel(), FakeChannel()
    async with scene(tmp_path, ops=before) as each:
        await each.lock()
        await each.notifier.spread()
        before.hanging = asyncio.Event()
        sending = asyncio.create_task(each.notifier.send_due("ops"))
        await before.arrived.wait()
        sending.cancel()  # as by kill -9: it was sent, and nothing is marked
        await asyncio.gather(sending, return_exceptions=True)
        notifier = each.restarted(ops=after)
        assert await notifier.send_due("ops") == 0
        each.now += timedelta(seconds=90)
        assert await notifier.send_due("ops") == 1
        assert not before.sent[0].repeat
        assert after.sent[0].repeat
        assert after.sent[0].id == before.sent[0].id
        assert await each.waiting() == 0


async def test_a_channel_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    slow, quick = FakeChannel(), FakeChannel()
    slow.hanging = asyncio.Event()
    async with scene(tmp_path, slow=slow, quick=quick) as each, each.notifier.running():
        await each.lock("a")
        await asyncio.wait_for(slow.arrived.wait(), 20)
        await asyncio.wait_for(quick.arrived.wait(), 20)
        quick.arrived.clear()
        await each.lock("b")
        await asyncio.wait_for(quick.arrived.wait(), 20)
        slow.hanging.set()
    assert {one.subject for one in quick.sent} == {"l_a", "l_b"}


async def test_a_store_that_is_gone_for_a_while_loses_nothing(tmp_path: Path) -> None:
    ops = FakeChannel()
    async with scene(tmp_path, ops=ops) as each:
        await each.lock()
        await each.store.close()
        with pytest.raises(ServerUnavailable):
            await each.notifier.spread()
        await each.store.open()
        await each.notifier.spread()
        await each.notifier.send_due("ops")
        assert [one.subject for one in ops.sent] == ["l_a"]


async def test_an_unsigned_break_glass_window_is_due_once_and_overdue_once(tmp_path: Path) -> None:
    ops = FakeChannel()
    async with scene(tmp_path, ops=ops) as each:
        each.policy = replace(each.policy, terms=replace(each.policy.terms, break_glass=True))
        window, _ = await each.store.admit(ALICE, each.policy, NOW)
        signed, _ = await each.store.admit(ADMIN.key, each.policy, NOW)
        for one in (window, signed):
            await each.store.end(one.id, NOW + MINUTE, "ttl")
        await each.store.sign_off(signed.id, SignOff(by=replace(ADMIN, key=ALICE), comment="seen", at=NOW + MINUTE))
        for _ in range(4):
            each.now += timedelta(hours=1)
            await each.notifier.spread()
            await each.notifier.send_due("ops")
            await each.notifier.send_due("ops")
        sent = [(one.event, one.subject) for one in ops.sent]
        assert sent == [("sign_off.due", window.id), ("sign_off.overdue", window.id)]
        assert ops.sent[1].loud


async def test_a_node_without_channels_deletes_notices_after_a_day(tmp_path: Path) -> None:
    async with scene(tmp_path) as each:
        await each.lock()
        await each.notifier.spread()
        each.now += timedelta(hours=25)
        await each.notifier.spread()
        assert await each.store.spread_notices({"ops": EVENTS}, each.now) == 0
