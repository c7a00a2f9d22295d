"""The records of a session: in the journal before anything is sent, in order, and shared writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable
from pgjit.identity.identity import IdentityKey
from pgjit.proxy import record_waits, session_records
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.session_records import SessionRecords
from tests.audit.audit_events import IDENTITY, execution
from tests.audit.disturbed_sink import DisturbedSink
from tests.run.journal_text import journal_records
from tests.run.waiting import until

FULL = OSError(28, "No space left on device")


class Sessions:
    """Sessions on one journal. `sent`: what each has sent to its server, and what was refused in its place."""

    def __init__(self, path: Path) -> None:
        self.sink = DisturbedSink(path)
        self.journal = Journal.open(self.sink, interval=3600)
        self.rate = RateLimit[IdentityKey](1_000_000, 0)
        self.sent: list[str] = []
        self.overflows = 0

    def open(self, *, synced: bool = False, ready: Callable[[], bool] = lambda: True) -> SessionRecords:
        return SessionRecords(
            self.journal, self.rate, IDENTITY.key, synced=synced, overflow=self._overflow, ready=ready
        )

    def _overflow(self) -> None:
        self.overflows += 1

    def run(self, session: SessionRecords, text: str) -> None:
        def then(recorded: bool) -> None:
            assert not recorded or text in self.texts
            self.sent.append(text if recorded else f"refused {text}")

        session.before([execution(text)], then)

    @property
    def texts(self) -> list[str]:
        return [record["statement"] for record in journal_records(self.sink.path)]


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[Sessions]:
    sessions = Sessions(tmp_path / "journal")
    yield sessions
    await sessions.journal.close()


async def test_nothing_is_sent_before_the_write(sessions: Sessions) -> None:
    one, other = sessions.open(), sessions.open()
    sessions.run(one, "a")
    sessions.run(other, "b")
    assert sessions.sent == []
    await asyncio.sleep(0)
    assert sessions.sent == ["a", "b"]
    assert sessions.sink.appends == 1


async def test_a_shared_write_that_fails_refuses_the_statements_of_all_sessions(sessions: Sessions) -> None:
    one, other = sessions.open(), sessions.open()
    sessions.sink.failure = FULL
    sessions.run(one, "a")
    sessions.run(other, "b")
    await asyncio.sleep(0)
    assert sessions.sent == ["refused a", "refused b"]
    sessions.sink.failure = None
    sessions.run(other, "c")
    await asyncio.sleep(0)
    assert sessions.texts == ["c"]
    assert (one.unsettled, other.unsettled) == (False, False)


async def test_an_outcome_goes_with_the_next_execution_and_before_it(sessions: Sessions) -> None:
    session = sessions.open()
    sessions.run(session, "a")
    await asyncio.sleep(0)
    session.after([execution("outcome of a")])
    sessions.run(session, "b")
    await asyncio.sleep(0)
    assert sessions.texts == ["a", "outcome of a", "b"]
    assert sessions.sink.appends == 2


async def test_an_outcome_waits_for_the_next_write_of_any_session_but_not_for_long(sessions: Sessions) -> None:
    one, other = sessions.open(), sessions.open()
    one.after([execution("outcome 1")])
    await asyncio.sleep(0)
    assert sessions.sink.appends == 0
    sessions.run(other, "a")
    await asyncio.sleep(0)
    assert sessions.texts == ["outcome 1", "a"]
    one.after([execution("outcome 2")])
    await until(lambda: sessions.sink.appends == 2)
    assert sessions.texts == ["outcome 1", "a", "outcome 2"]


async def test_what_has_happened_is_written_first_later(sessions: Sessions) -> None:
    session = sessions.open()
    sessions.sink.failure = FULL
    session.after([execution("outcome 1")])
    sessions.run(session, "a")
    session.after([execution("outcome 2")])
    await asyncio.sleep(0)
    assert sessions.sent == ["refused a"]
    assert session.unsettled
    sessions.sink.failure = None
    sessions.run(session, "b")
    await asyncio.sleep(0)
    assert sessions.texts == ["outcome 1", "outcome 2", "b"]
    assert not session.unsettled


async def test_the_end_of_a_session_comes_behind_all_that_waits(sessions: Sessions) -> None:
    session = sessions.open()
    sessions.run(session, "a")
    session.after([execution("outcome")])
    session.write([execution("end")])
    assert sessions.texts == ["a", "outcome", "end"]
    assert sessions.sent == ["a"]


async def test_the_end_of_a_session_is_written_later_if_it_must_be(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sessions.open()
    sessions.sink.failure = FULL
    session.after([execution("outcome")])
    session.write([execution("end")])
    monkeypatch.setattr(record_waits, "_SETTLE_SECONDS", 0.05)
    with pytest.raises(JournalUnavailable):
        await session.settle()
    sessions.sink.failure = None
    session.write()
    await session.settle()
    assert sessions.texts == ["outcome", "end"]


async def test_synced_waits_for_the_disk(sessions: Sessions) -> None:
    session = sessions.open(synced=True)
    sessions.sink.gate.clear()
    sessions.run(session, "a")
    await asyncio.to_thread(sessions.sink.flushing.wait, 60)
    assert sessions.texts == ["a"]
    assert sessions.sent == []
    sessions.sink.gate.set()
    await sessions.journal.flush()
    await asyncio.sleep(0)
    assert sessions.sent == ["a"]
    assert sessions.journal.unsynced == 0


async def test_synced_refuses_what_may_not_be_on_the_disk(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "other")
    session = sessions.open(synced=True)
    sessions.sink.flush_failure = OSError(5, "Input/output error")
    sessions.run(session, "a")
    await until(lambda: sessions.sent)
    assert sessions.sent == ["refused a"]
    sessions.sink.close()


async def test_a_session_with_too_much_that_cannot_be_written_is_ended(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_records, "_MOST_UNWRITTEN", 3)
    session = sessions.open()
    sessions.sink.failure = FULL
    for count in range(4):
        session.after([execution(f"outcome {count}")])
        sessions.journal.write_enqueued()
    assert sessions.overflows == 1
    sessions.sink.failure = None
    session.close()


async def test_what_was_written_counts_for_the_identity(sessions: Sessions) -> None:
    session = sessions.open()
    sessions.run(session, "a" * 10_000)
    session.after([execution("b" * 10_000)])
    await asyncio.sleep(0)
    assert 0.01 < sessions.rate.wait(IDENTITY.key) < 0.1


async def test_nothing_is_recorded_or_sent_while_what_belongs_to_it_cannot_be_kept(sessions: Sessions) -> None:
    ready = [False]
    one, other = sessions.open(ready=lambda: ready[0]), sessions.open()
    sessions.run(one, "a")
    sessions.run(other, "b")
    await asyncio.sleep(0)
    assert sessions.sent == ["refused a", "b"]
    ready[0] = True
    sessions.run(one, "c")
    await asyncio.sleep(0)
    assert sessions.texts == ["b", "c"]
