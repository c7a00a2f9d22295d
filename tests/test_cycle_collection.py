"""The cycle collector of the serving process: what is frozen, when everything is looked at, and that none stays."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pgjit.cycle_collection import CycleCollection


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
    yield CycleCollection(lambda: True)
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_no_full_collection_starts_by_itself_while_it_runs(collector: CycleCollection) -> None:
    before = gc.get_threshold()
    async with collector.running():
        assert gc.get_threshold()[2] > 1_000_000
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


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


@pytest.mark.parametrize(("idle", "freed"), [(True, True), (False, False)])
def test_a_cycle_that_was_frozen_alive_is_freed_when_nobody_is_disturbed(
    collector: CycleCollection, *, idle: bool, freed: bool
) -> None:
    collector = CycleCollection(lambda: idle)
    collector.collect_all()
    gone = _cycle_that_lives_while_frozen()
    held = [[each] for each in range(150_000)]
    gc.freeze()
    for _ in range(60):
        collector.tick()
    assert held
    assert (gone() is None) is freed


def _cycle_that_lives_while_frozen() -> weakref.ref[_Node]:
    one, two = _Node(), _Node()
    one.other, two.other = two, one
    gc.freeze()
    return weakref.ref(one)


def test_frozen_objects_do_not_grow_without_end_though_clients_are_always_there(collector: CycleCollection) -> None:
    collector = CycleCollection(lambda: False)
    collector.collect_all()
    gone = _cycle_that_lives_while_frozen()
    held = [[each] for each in range(gc.get_freeze_count() + 600_000)]
    gc.freeze()
    for _ in range(60):
        collector.tick()
    assert held
    assert gone() is None


def test_few_frozen_objects_are_not_looked_at_again(collector: CycleCollection) -> None:
    collector.collect_all()
    frozen = gc.get_freeze_count()
    gone = _cycle_that_lives_while_frozen()
    for _ in range(60):
        collector.tick()
    assert gone() is not None
    assert gc.get_freeze_count() >= frozen
