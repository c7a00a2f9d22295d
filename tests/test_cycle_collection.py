"""The cycle collector of the serving process: what is frozen, when everything is looked at, and that none stays."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pgjit import cycle_collection
from pgjit.cycle_collection import CycleCollection, freeze_replaced
from tests.run.waiting import a_while, until


class _Node:
    """One half of a garbage cycle."""

    def __init__(self) -> None:
        self.other: _Node | None = None


def _cycle() -> weakref.ref[_Node]:
    one, two = _Node(), _Node()
    one.other, two.other = two, one
    return weakref.ref(one)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[CycleCollection]:
    """Thresholds as in a process that serves, so that the counts of the test are its own."""
    before = gc.get_threshold()
    gc.collect()
    yield CycleCollection(lambda: 0)
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_no_full_collection_starts_by_itself_while_it_runs(collector: CycleCollection) -> None:
    before = gc.get_threshold()
    async with collector.running():
        assert gc.get_threshold()[2] > 1_000_000
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_what_many_sessions_were_given_is_frozen_at_once_while_it_runs_and_nowhere_else(
    collector: CycleCollection,
) -> None:
    def frozen(sessions: int) -> bool:
        given = _Node()
        freeze_replaced(sessions)
        return not any(each is given for each in gc.get_objects())

    assert not frozen(1_000)
    async with collector.running():
        assert frozen(1_000)
        assert not frozen(2)


def _age(times: int) -> None:
    """The middle generation is collected `times` times, as allocations would have it."""
    for _ in range(times):
        gc.collect(1)


def test_a_young_cycle_is_freed_before_the_survivors_are_frozen(collector: CycleCollection) -> None:
    gc.set_threshold(100_000, 100, 1 << 30)
    kept = _Node()
    gone = _cycle()
    _age(1)
    assert gc.get_count()[2] == 1
    collector.tick()
    assert gone() is None
    assert not any(each is kept for each in gc.get_objects())


def test_what_a_catalog_brings_is_frozen_without_a_look(collector: CycleCollection) -> None:
    gc.set_threshold(100_000, 100, 1 << 30)
    looked: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            looked.append(phase)

    _age(9)
    gc.callbacks.append(note)
    try:
        collector.tick()
    finally:
        gc.callbacks.remove(note)
    assert not looked
    assert gc.get_count()[2] == 0


def _cycle_that_lives_while_frozen() -> weakref.ref[_Node]:
    one, two = _Node(), _Node()
    one.other, two.other = two, one
    gc.freeze()
    return weakref.ref(one)


class _Process:
    """How many sessions it has, and how much memory."""

    def __init__(self) -> None:
        self.sessions = 0
        self.blocks = 600_000

    def collector(self) -> CycleCollection:
        collector = CycleCollection(lambda: self.sessions, lambda: self.blocks)
        collector.collect_all()
        return collector


def _a_minute(collector: CycleCollection) -> None:
    for _ in range(60):
        collector.tick()


@pytest.mark.parametrize(
    ("sessions", "added", "freed"),
    [
        (0, 299_000, False),
        (0, 301_000, True),
        (1, 301_000, False),
        (1, 999_000, False),
        (1, 1_001_000, True),
        (5_000, 2_000_000, False),  # what the sessions keep is freed with them
        (5_000, 4_501_000, True),
    ],
)
@pytest.mark.usefixtures("collector")
def test_everything_is_looked_at_when_memory_has_grown_by_more_than_the_sessions_explain(
    sessions: int, added: int, *, freed: bool
) -> None:
    process = _Process()
    collector = process.collector()
    gone = _cycle_that_lives_while_frozen()
    process.sessions, process.blocks = sessions, process.blocks + added
    _a_minute(collector)
    assert (gone() is None) is freed


@pytest.mark.usefixtures("collector")
def test_what_sessions_have_left_behind_is_looked_at_when_they_are_over() -> None:
    process = _Process()
    collector = process.collector()
    gone = _cycle_that_lives_while_frozen()
    process.sessions, process.blocks = 5_000, 2_600_000
    _a_minute(collector)
    assert gone() is not None
    process.sessions = 1
    _a_minute(collector)
    assert gone() is None


@pytest.mark.parametrize(("left", "looked"), [(5_000, True), (4_990, True), (4_000, False)])
@pytest.mark.usefixtures("collector")
def test_where_many_sessions_have_ended_what_is_new_is_frozen_without_a_look(left: int, *, looked: bool) -> None:
    gc.set_threshold(100_000, 100, 1 << 30)
    process = _Process()
    collector = process.collector()
    process.sessions = 5_000
    _age(1)
    collector.tick()
    _age(1)
    gone = _cycle()
    process.sessions = left
    collector.tick()
    assert (gone() is None) is looked


@pytest.mark.usefixtures("collector")
async def test_while_many_sessions_end_what_is_new_is_frozen_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle_collection, "_TICK_SECONDS", 60.0)
    monkeypatch.setattr(cycle_collection, "_LOOKS", 60_000)
    process = _Process()
    collector = process.collector()
    async with collector.running():
        process.sessions = 20
        before = gc.get_freeze_count()
        held = [_Node() for _ in range(100)]
        await a_while(0.05)
        assert gc.get_freeze_count() < before + len(held)
        process.sessions = 200
        await until(lambda: gc.get_freeze_count() >= before + len(held))
