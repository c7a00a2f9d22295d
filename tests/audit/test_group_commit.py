from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from pgjit.audit.event import Event, Outcome
from pgjit.audit.group_commit import GroupCommit
from pgjit.audit.journal import Journal
from pgjit.audit.results.capture import ResultCapture
from pgjit.errors import JournalUnavailable
from pgjit.policy.policy import ResultCaps
from tests.audit.audit_events import EVENTS, execution, unwritable
from tests.audit.disturbed_sink import DisturbedSink
from tests.run.journal_text import journal_records
from tests.run.waiting import until


class Sessions:
    """Those who wait: whether the records of each are written, in the order of the calls."""

    def __init__(self) -> None:
        self.called: list[tuple[str, bool]] = []

    def __call__(self, name: str) -> Callable[[int | None], None]:
        return lambda size: self.called.append((name, size is not None))


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


def texts(sink: DisturbedSink) -> list[str]:
    return [record["statement"] for record in journal_records(sink.path)]


async def test_the_records_of_a_turn_are_one_write(journal: Journal, sink: DisturbedSink, sessions: Sessions) -> None:
    written: list[tuple[int, int]] = []
    journal.on_written.append(lambda first, lines: written.append((first, len(lines))))
    for name in "abc":
        journal.enqueue([execution(name), execution(f"{name}2")], sessions(name))
    assert sink.appends == 0
    await asyncio.sleep(0)
    assert sink.appends == 1
    assert written == [(1, 6)]
    assert texts(sink) == ["a", "a2", "b", "b2", "c", "c2"]
    assert sessions.called == [("a", True), ("b", True), ("c", True)]


async def test_records_that_nothing_waits_for_go_with_the_next_write(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    journal.enqueue([execution("a")], sessions("a"), soon=False)
    await asyncio.sleep(0)
    assert (sink.appends, sessions.called) == (0, [])
    journal.enqueue([execution("b")], sessions("b"))
    await asyncio.sleep(0)
    assert (sink.appends, texts(sink)) == (1, ["a", "b"])
    assert sessions.called == [("a", True), ("b", True)]


async def test_records_that_no_write_takes_along_are_written_after_a_while(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    for name in "ab":
        journal.enqueue([execution(name)], sessions(name), soon=False)
    await until(lambda: sessions.called)
    assert (sink.appends, texts(sink)) == (1, ["a", "b"])
    journal.enqueue([execution("c")], sessions("c"), soon=False)
    await until(lambda: len(sessions.called) == 3)
    assert texts(sink) == ["a", "b", "c"]


async def test_they_are_in_the_file_when_the_first_is_called(journal: Journal, sink: DisturbedSink) -> None:
    seen: list[list[str]] = []
    for name in "ab":
        journal.enqueue([execution(name)], lambda _: seen.append(texts(sink)))
    await asyncio.sleep(0)
    assert seen == [["a", "b"], ["a", "b"]]


async def test_a_write_that_fails_refuses_all_who_share_it(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    sink.failure = OSError(28, "No space left on device")
    for name in "abc":
        journal.enqueue([execution(name), execution(name)], sessions(name))
    await asyncio.sleep(0)
    assert sessions.called == [("a", False), ("b", False), ("c", False)]
    assert journal.failures == 1
    sink.failure = None
    journal.enqueue([execution("d")], sessions("d"))
    await asyncio.sleep(0)
    assert [(record["seq"], record["statement"]) for record in journal_records(sink.path)] == [(1, "d")]


async def test_one_that_cannot_be_written_down_is_refused_alone(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    journal.enqueue([execution("a")], sessions("a"))
    journal.enqueue([execution("b"), unwritable()], sessions("b"))
    journal.enqueue([execution("c")], sessions("c"))
    await asyncio.sleep(0)
    assert sessions.called == [("a", True), ("b", False), ("c", True)]
    assert [(record["seq"], record["statement"]) for record in journal_records(sink.path)] == [(1, "a"), (2, "c")]


def failing(fault: Exception) -> Outcome:
    """An event whose record cannot be made."""
    outcome = EVENTS["outcome"]
    assert isinstance(outcome, Outcome)
    return replace(outcome, result=FailingResult(fault))


class FailingResult(ResultCapture):
    def __init__(self, fault: Exception) -> None:
        super().__init__("1", ResultCaps(), None, None)
        self._fault = fault

    def members(self) -> dict[str, object]:
        raise self._fault


@pytest.mark.parametrize("fault", [KeyError("x"), RecursionError(), OverflowError(), ZeroDivisionError()])
async def test_whatever_is_wrong_with_a_record_its_session_is_refused_alone(
    journal: Journal, sink: DisturbedSink, sessions: Sessions, fault: Exception
) -> None:
    journal.enqueue([execution("a")], sessions("a"))
    journal.enqueue([failing(fault)], sessions("b"))
    await asyncio.sleep(0)
    assert sessions.called == [("a", True), ("b", False)]
    assert texts(sink) == ["a"]


async def test_who_waits_is_called_though_another_that_takes_the_lines_fails(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("type")

    taken: list[int] = []
    journal.on_written += [fails, lambda first, _: taken.append(first)]
    journal.enqueue([execution("a")], sessions("a"))
    await asyncio.sleep(0)
    assert (sessions.called, texts(sink), taken) == ([("a", True)], ["a"], [1])


async def test_a_write_that_fails_as_none_should_refuses_all_and_leaves_nobody_waiting(
    journal: Journal, sink: DisturbedSink, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("I/O operation on closed file")

    with monkeypatch.context() as patch:
        patch.setattr(sink, "append", fails)
        for name in "ab":
            journal.enqueue([execution(name)], sessions(name))
        await asyncio.sleep(0)
    assert sessions.called == [("a", False), ("b", False)]
    journal.enqueue([execution("c")], sessions("c"))
    await asyncio.sleep(0)
    assert texts(sink) == ["c"]


async def test_a_missing_salt_refuses_its_session_alone(
    journal: Journal, sink: DisturbedSink, sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        journal.enqueue([execution("a")], sessions("a"))
        for name in "bc":
            journal.enqueue([failing(OSError("the salt key is missing"))], sessions(name))
        await asyncio.sleep(0)
    assert sessions.called == [("a", True), ("b", False), ("c", False)]
    assert texts(sink) == ["a"]
    assert caplog.text.count("the salt key is missing") == 1


async def test_nothing_to_record_waits_for_its_turn_and_is_never_refused(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    sink.failure = OSError(28, "No space left on device")
    journal.enqueue([execution("a")], sessions("a"))
    journal.enqueue([], sessions("b"))
    await asyncio.sleep(0)
    assert sessions.called == [("a", False), ("b", True)]


async def test_an_append_writes_what_waits_first(journal: Journal, sink: DisturbedSink, sessions: Sessions) -> None:
    journal.enqueue([execution("a")], sessions("a"))
    journal.append([execution("b")])
    assert texts(sink) == ["a", "b"]
    assert sessions.called == [("a", True)]
    await asyncio.sleep(0)
    assert texts(sink) == ["a", "b"]


async def test_a_flush_and_the_close_write_what_waits(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    journal.enqueue([execution("a")], sessions("a"))
    await journal.flush()
    assert journal.unsynced == 0
    journal.enqueue([execution("b")], sessions("b"))
    await journal.close()
    assert texts(sink) == ["a", "b"]
    journal.enqueue([execution("c")], sessions("c"))
    await asyncio.sleep(0)
    assert sessions.called == [("a", True), ("b", True), ("c", False)]


async def test_an_append_that_fails_raises_and_leaves_the_others(
    journal: Journal, sink: DisturbedSink, sessions: Sessions
) -> None:
    journal.enqueue([execution("a")], sessions("a"))
    with pytest.raises(JournalUnavailable):
        journal.append([unwritable()])
    assert sessions.called == [("a", True)]
    assert texts(sink) == ["a"]


async def test_what_is_added_by_a_callback_comes_behind_those_who_wait() -> None:
    calls: list[str] = []

    def write(batches: Sequence[Sequence[Event]]) -> list[int | None]:
        calls.append(f"write {len(batches)}")
        return [1] * len(batches)

    group = GroupCommit(write)

    def first(_: int | None) -> None:
        calls.append("first")
        group.add([execution()], lambda _: calls.append("third"))
        group.write()

    group.add([execution()], first)
    group.add([execution()], lambda _: calls.append("second"))
    await asyncio.sleep(0)
    assert calls == ["write 2", "first", "write 1", "second", "third"]


async def test_a_callback_that_fails_takes_nobody_along(
    journal: Journal, sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: int | None) -> None:
        raise ZeroDivisionError

    journal.enqueue([execution("a")], fails)
    journal.enqueue([execution("b")], sessions("b"))
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(0)
    assert sessions.called == [("b", True)]
    assert "what follows a record failed" in caplog.text
