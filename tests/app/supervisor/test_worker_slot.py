"""The states of a slot, and its delays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgjit.app.supervisor.worker_slot import SLOT_TRANSITIONS, RestartDelay, SlotEvent, SlotState, WorkerSlot


def slot(state: SlotState) -> WorkerSlot[str]:
    """A slot that came to this state: `old` serves, `new` follows."""
    made = WorkerSlot[str](0)
    steps: dict[SlotState, list[Callable[[], object]]] = {
        SlotState.EMPTY: [],
        SlotState.STARTING: [lambda: made.started("old")],
        SlotState.SERVING: [lambda: made.started("old"), lambda: made.ready("old")],
        SlotState.REPLACING: [
            lambda: made.started("old"), lambda: made.ready("old"), lambda: made.started("new"),
        ],
        SlotState.STOPPING: [lambda: made.started("old"), lambda: made.ready("old"), made.stop],
    }  # fmt: skip
    for step in steps[state]:
        step()
    assert made.state is state
    return made


def test_a_worker_that_is_ready_takes_the_place_of_the_one_before_which_is_not_the_slots_any_more() -> None:
    served = slot(SlotState.REPLACING)
    assert served.ready("new") == "old"
    assert (served.state, served.worker, served.following) == (SlotState.SERVING, "new", None)
    assert not served.ended("old"), "it drained, and its end starts nothing"
    assert served.state is SlotState.SERVING
    assert served.ended("new")
    assert (served.state, served.worker) == (SlotState.EMPTY, None)


def test_a_worker_that_follows_and_fails_changes_nothing() -> None:
    served = slot(SlotState.REPLACING)
    assert served.ended("new")
    assert (served.state, served.worker, served.following) == (SlotState.SERVING, "old", None)


def test_if_the_one_that_serves_dies_the_one_that_follows_is_the_only_one() -> None:
    served = slot(SlotState.REPLACING)
    assert served.ended("old")
    assert (served.state, served.worker, served.following) == (SlotState.STARTING, "new", None)
    assert served.ready("new") is None
    assert served.state is SlotState.SERVING


@pytest.mark.parametrize("state", SlotState)
def test_a_slot_that_stops_starts_nothing(state: SlotState) -> None:
    stopped = slot(state)
    stopped.stop()
    worker = stopped.worker
    with pytest.raises(ValueError, match="slot 0 is stopping: `started` is not possible"):
        stopped.started("more")
    if stopped.following is not None:
        assert stopped.ready(stopped.following) is None, "nobody is replaced any more"
    if worker is not None:
        stopped.ended(worker)
    assert stopped.state is SlotState.STOPPING


def test_what_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="slot 0 is replacing: `started` is not possible"):
        slot(SlotState.REPLACING).started("third")
    assert {state for state, event in SLOT_TRANSITIONS if event is SlotEvent.STARTED} == {
        SlotState.EMPTY, SlotState.SERVING,
    }  # fmt: skip
    assert {state for state, event in SLOT_TRANSITIONS if event is SlotEvent.STOP} == set(SlotState)
    assert set(SLOT_TRANSITIONS.values()) == set(SlotState)


def test_the_first_restart_is_at_once_and_each_early_end_doubles_the_delay() -> None:
    delay = RestartDelay()
    assert [delay.after(1.0) for _ in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert delay.after(60.0) == 0.0, "it had settled"
    assert [delay.after(0.1) for _ in range(2)] == [0.0, 0.5]
