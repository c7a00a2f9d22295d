"""The journal has one opening and one end of each window, whatever fails and whenever pgjit is killed."""

from __future__ import annotations

import asyncio
import errno
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from pgjit.audit.event import ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable, ServerUnavailable
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.usage import Usage
from pgjit.identity.identity import Credential, IdentityKey, IdentityKind
from pgjit.proxy.registry import RegisteredSession, Registry
from pgjit.proxy.window import wait_until
from pgjit.proxy.window.outbox_records import end_note, opening_note, record_of
from pgjit.proxy.window.windows import Windows
from tests.contracts.store import HOUR, NOW, POLICY
from tests.fakes.both_ends import CONTEXT
from tests.run.journal_text import journal_lines
from tests.run.waiting import until, until_it_holds

ANN = replace(
    CONTEXT.identity,
    key=IdentityKey("t", "ann"),
    kind=IdentityKind.USER,
    credential=Credential.CERTIFICATE,
    acrs=frozenset({"c1", "c2"}),
    on_behalf_of="ann",
    blueprint_id="b",
    groups=frozenset(),
)


class Full(SegmentSink):
    """A disk that is full when a test sets it so."""

    full = False

    def append(self, lines: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left")
        super().append(lines)


class Forgetful(SqlStore):
    """A store that is killed before it hears that the journal has taken a record, or right after an end."""

    deaf = False
    torn = False

    async def recorded(self, window_id: str, kind: RecordKind) -> None:
        if self.deaf:
            raise ServerUnavailable("killed", reference="store-unavailable")
        await super().recorded(window_id, kind)

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        first = await super().end(window_id, at, reason, note)
        if self.torn:
            self.torn = False
            raise ServerUnavailable("committed, but reported as failed", reference="store-unavailable")
        return first


@dataclass
class House:
    """One process's windows over a store and a journal that outlive it."""

    folder: Path
    now: datetime = NOW
    ahead: timedelta = timedelta()  # of the machine's clock
    registry: Registry = field(default_factory=Registry)
    sink: Full = field(init=False)
    store: Forgetful = field(init=False)

    def _steady(self) -> float:
        return (self.now - NOW).total_seconds()

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Windows]:
        self.sink, self.store = (
            Full(self.folder / "journal"),
            Forgetful(SqliteDatabase(self.folder / "w.sqlite3")),
        )
        await self.store.open()
        journal = Journal.open(self.sink)
        clock = Clock(wall=lambda: self.now + self.ahead, steady=self._steady)
        windows = Windows(self.store, journal, self.registry, clock)
        journal.append([ServiceStarted(at=self.now, version="0", config_hash="0", policies=())])
        await windows.resume({POLICY.name: POLICY})
        yield windows
        await windows.close()
        self.sink.full = False
        await journal.close()
        await self.store.close()

    @property
    def records(self) -> list[dict[str, object]]:
        lines = journal_lines(self.folder / "journal")
        return [each for each in map(json.loads, lines) if str(each["type"]).startswith("window.")]

    @property
    def types(self) -> Counter[object]:
        return Counter(each["type"] for each in self.records)

    async def ended(self) -> None:
        async def over() -> bool:
            due = await self.store.outbox()
            return not await self.store.unended() and all(each.kind != "ended" for each in due)

        await until_it_holds(over)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def admit(windows: Windows) -> str:
    window, _ = await windows.admit(ANN, POLICY, "10.0.0.7:5", "because")
    return window.id


async def test_an_opening_that_could_not_be_recorded_is_recorded_after_a_restart(house: House) -> None:
    async with house.process() as windows:
        house.sink.full = True
        with pytest.raises(JournalUnavailable):
            await admit(windows)
        assert not house.records
    house.now += timedelta(minutes=5)
    async with house.process():
        [record] = house.records
        assert (record["type"], record["source"], record["reason"]) == ("window.opened", "10.0.0.7:5", "because")
        assert str(record["time"]).startswith(NOW.replace(tzinfo=None).isoformat())
        [window] = await house.store.unended()
        assert record["window"]["id"] == window.id  # type: ignore[index]
        assert await house.store.outbox() == []
    async with house.process():
        assert len(house.records) == 1


async def test_an_opening_is_recorded_as_soon_as_there_is_room_and_nobody_is_let_in_before(house: House) -> None:
    async with house.process() as windows:
        house.sink.full = True
        for _ in range(3):
            with pytest.raises(JournalUnavailable) as refused:
                await admit(windows)
            assert refused.value.fields()["S"] == "FATAL"
        house.sink.full = False
        await admit(windows)
        await admit(windows)
        assert house.types == {"window.opened": 1}


async def test_a_process_that_is_killed_right_after_a_record_does_not_write_it_twice(house: House) -> None:
    async with house.process() as windows:
        house.store.deaf = True
        await admit(windows)
    async with house.process() as windows:
        assert await house.store.outbox() == []
        assert house.types == {"window.opened": 1}
        house.store.deaf = True
        house.now += HOUR
        async with asyncio.timeout(60):
            await until(lambda: house.types["window.ended"] == 1)
    async with house.process() as windows:
        assert await house.store.outbox() == []
    assert house.types == {"window.opened": 1, "window.ended": 1}


async def test_an_end_that_could_not_be_recorded_is_recorded_after_a_restart(house: House) -> None:
    async with house.process() as windows:
        await admit(windows)
        house.sink.full = True
        house.now += HOUR

        async def over() -> bool:
            return not await house.store.unended()

        await until_it_holds(over)
    async with house.process():
        await house.ended()
    assert house.types == {"window.opened": 1, "window.ended": 1}


async def test_what_was_used_in_the_last_moments_of_a_window_is_in_the_store(house: House) -> None:
    used = Usage(rows=6, bytes=54, statements=12)
    async with house.process() as windows:
        window, _ = await windows.admit(ANN, POLICY, "10.0.0.7:5", "because")
        count = windows.usage(window)
        count.rows, count.bytes, count.statements = used.rows, used.bytes, used.statements
        house.now += HOUR
        await house.ended()

        async def saved() -> bool:
            return await house.store.usage(window.id) == used

        await until_it_holds(saved)


async def test_a_login_that_is_admitted_at_the_last_moment_makes_no_second_end(house: House) -> None:
    async with house.process() as windows:
        late = asyncio.create_task(admit(windows))
        await late
        house.now += HOUR
        await house.ended()
        # It was admitted before the end and gets here after it was carried out.
        window = replace(CONTEXT.window, id=str(house.records[0]["window"]["id"]))  # type: ignore[index]
        windows._schedule(window, window.ends_at)
        async with asyncio.timeout(60):
            await until(lambda: not windows._ends)
    assert house.types == {"window.opened": 1, "window.ended": 1}


async def test_a_window_that_opened_while_the_clock_was_ahead_is_no_longer_when_that_is_put_right(
    house: House,
) -> None:
    async with house.process() as windows:
        house.ahead = HOUR
        window, ends_at = await windows.admit(ANN, POLICY, "10.0.0.7:5", "because")
        granted = ends_at - (NOW + HOUR)
        assert granted == POLICY.ttl
        house.ahead = timedelta()
        house.now += granted / 2
        joined, ends_at = await windows.admit(ANN, POLICY, "10.0.0.7:5", "because")
        assert (joined.id, ends_at) == (window.id, NOW + granted)
        house.now += granted / 2
        await house.ended()
    assert house.types == {"window.opened": 1, "window.ended": 1}


async def test_an_end_whose_commit_was_heard_of_by_nobody_is_recorded_once(house: House) -> None:
    async with house.process() as windows:
        await admit(windows)
        house.store.torn = True
        house.now += HOUR
        async with asyncio.timeout(60):
            await until(lambda: not windows._ends)
    assert house.types == {"window.opened": 1, "window.ended": 1}


async def test_a_note_that_cannot_be_read_stops_the_start(house: House) -> None:
    async with house.process():
        await house.store.admit(ANN.key, POLICY, NOW, None, "{}")
    with pytest.raises(ServerUnavailable) as refused:
        async with house.process():
            pass
    assert "cannot be read" in str(refused.value.detail)
    await house.store.close()
    house.sink.close()


def test_a_record_can_be_rebuilt_from_its_note() -> None:
    window = replace(CONTEXT.window, identity=ANN.key, policy=POLICY.name)
    opened = record_of(OutboxEntry("opened", window, opening_note(ANN, POLICY, NOW, "10.0.0.7:5", None)))
    assert (opened.identity, opened.policy_version, opened.at) == (ANN, POLICY.version, NOW)  # type: ignore[union-attr]
    window = replace(window, ended_at=NOW, end_reason="revoked")
    ended = record_of(OutboxEntry("ended", window, end_note(NOW, 3)))
    assert (ended.reason, ended.sessions, ended.window) == ("revoked", 3, window)  # type: ignore[union-attr]


class _CutOff:
    """A session of a window, as far as it is cut off and ended."""

    identity_key = backend_pid = None
    idle = abandoned = False

    def __init__(self, window_id: str) -> None:
        self.window_id, self.seen = window_id, ""

    def cut_off(self) -> None:
        self.seen = self.seen or "cut off"

    async def end(self, reason: str, explanation: str | None = None) -> None:
        self.seen += f", {reason}"


@pytest.mark.parametrize("at_its_time", [True, False])
async def test_where_many_windows_end_at_once_all_their_clients_are_cut_off_before_the_first_session_ends(
    house: House, at_its_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_until, "_TICK", 0.001)
    async with house.process() as windows:
        opened = [
            (await windows.admit(replace(ANN, key=IdentityKey("t", f"{n}")), POLICY, "a", "b"))[0] for n in range(100)
        ]
        sessions = [_CutOff(window.id) for window in opened]
        for number, session in enumerate(sessions):
            house.registry.add(f"s_{number}", cast(RegisteredSession, session))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        turns: list[str] = []

        async def take_turn(*, ends: bool = False) -> None:
            assert ends  # or strangers who log in would put the end off
            turns.append("for a window and its first session")
            await asyncio.shield(turn)

        monkeypatch.setattr("pgjit.proxy.window.windows.take_turn", take_turn)
        monkeypatch.setattr("pgjit.proxy.ends.take_turn", take_turn)
        if at_its_time:
            house.now += HOUR
        else:
            for window in opened:
                windows.end_now(window, "policy-deleted")
        await until(lambda: all(session.seen for session in sessions))
        assert {session.seen for session in sessions} == {"cut off"}
        assert len(turns) == 100
        turn.set_result(None)
        await house.ended()
        assert {session.seen for session in sessions} == {f"cut off, {'ttl' if at_its_time else 'policy-deleted'}"}
        assert house.types["window.ended"] == 100
        assert {record["sessions"] for record in house.records if record["type"] == "window.ended"} == {1}
        assert len(turns) == 100


@pytest.mark.parametrize("why", ["pgjit stops", "a session was abandoned"])
async def test_an_end_that_waits_for_its_turn_is_not_recorded_without_its_backends(
    house: House, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr("pgjit.proxy.window.windows.take_turn", lambda *, ends: asyncio.shield(turn))
    async with house.process() as windows:
        window, _ = await windows.admit(ANN, POLICY, "10.0.0.7:5", "because")
        session = _CutOff(window.id)
        house.registry.add("s_1", cast(RegisteredSession, session))
        windows.end_now(window, "policy-deleted")
        await until(lambda: session.seen)
        house.registry.remove("s_1")  # its client left, too
        if why == "a session was abandoned":
            session.abandoned = True
            turn.set_result(None)
            await until(lambda: session.seen != "cut off")
    assert house.types["window.ended"] == 0
    monkeypatch.undo()
    async with house.process():  # the next process ends it
        house.now += HOUR
        await house.ended()
    assert house.types["window.ended"] == 1
