"""Owners take turns: one that was served goes to the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgjit.judging.fair_queue import FairQueue


def _queue(most: int = 100) -> FairQueue[str, str]:
    return FairQueue(most)


def _all(queue: FairQueue[str, str]) -> list[str]:
    found = []
    while (work := queue.take()) is not None:
        found.append(work)
    return found


def test_a_late_owner_waits_for_one_piece_of_each_other_owner() -> None:
    queue = _queue()
    for number in range(40):
        queue.put("greedy", f"greedy {number}")
    queue.put("second", "second 0")
    queue.put("late", "late 0")
    assert _all(queue)[:4] == ["greedy 0", "second 0", "late 0", "greedy 1"]


def test_each_owner_keeps_its_order() -> None:
    queue = _queue()
    for work in ("a 1", "a 2", "b 1", "a 3", "b 2"):
        queue.put(work[0], work)
    assert _all(queue) == ["a 1", "b 1", "a 2", "b 2", "a 3"]


def test_a_served_owner_comes_after_one_that_came_meanwhile() -> None:
    queue = _queue()
    queue.put("a", "a 1")
    queue.put("a", "a 2")
    assert queue.take() == "a 1"
    queue.put("b", "b 1")
    assert _all(queue) == ["a 2", "b 1"]
    assert queue.take() is None


def test_one_owner_may_not_have_more_waiting_than_anyone_may_and_others_still_may() -> None:
    queue = _queue(2)
    assert [queue.put("a", f"a {number}") for number in range(4)] == [True, True, False, False]
    assert queue.put("b", "b 1")
    assert queue.take() == "a 0"
    assert queue.put("a", "a 4")
    assert _all(queue) == ["b 1", "a 1", "a 4"]


def test_queued_work_that_is_no_longer_needed_is_removed() -> None:
    queue = _queue()
    for work in ("a 1", "a 2", "b 1"):
        queue.put(work[0], work)
    assert queue.take() == "a 1"
    queue.drop("a", "a 1")
    queue.drop("b", "b 1")
    queue.drop("nobody", "b 1")
    assert len(queue) == 1
    assert _all(queue) == ["a 2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_nothing_is_lost_and_nobody_is_passed_twice_by_the_same_one(steps: list[tuple[str, bool]]) -> None:
    queue = _queue()
    put: list[str] = []
    took: list[str] = []
    passed: dict[str, dict[str, int]] = {}
    for number, (owner, takes) in enumerate(steps):
        if not takes:
            put.append(f"{owner} {number}")
            queue.put(owner, put[-1])
            passed.setdefault(owner, {})
            continue
        if (work := queue.take()) is None:
            continue
        took.append(work)
        passed[work[0]] = {}
        for waiting in {one[0] for one in put if one not in took} - {work[0]}:
            passed[waiting][work[0]] = passed[waiting].get(work[0], 0) + 1
            assert passed[waiting][work[0]] == 1
    assert sorted([*took, *_all(queue)]) == sorted(put)
