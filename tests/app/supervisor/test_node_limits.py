"""The limits of a node, over its workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgjit.app.supervisor.node_limits import NodeLimits

Entered = tuple[bool, str | None]


def test_the_connections_of_all_workers_are_counted_together_with_a_few_that_only_get_the_error() -> None:
    limits = NodeLimits(4, 100, 1)
    answers = [limits.enter(f"worker {n % 2}", f"10.0.0.{n}") for n in range(40)]
    assert answers == [(True, None)] * 4 + [(True, "connections")] * 32 + [(False, "connections")] * 4
    limits.forget("worker 0")
    assert limits.connections == 18
    for n in range(1, 36, 2):
        limits.leave("worker 1", f"10.0.0.{n}")
    assert limits.connections == 0
    assert limits.enter("worker 1", "10.0.0.1") == (True, None)


def test_an_address_has_its_limit_on_all_workers_together() -> None:
    limits = NodeLimits(100, 2, 1)
    answers = [limits.enter(n % 2, "a") for n in range(12)]
    assert answers == [(True, None)] * 2 + [(True, "address")] * 8 + [(False, "address")] * 2
    assert limits.enter(0, "b") == (True, None)
    assert limits.connections == 11


def test_the_sessions_of_an_identity_are_counted_together_and_a_dead_workers_are_free() -> None:
    limits = NodeLimits(1, 1, 2)
    assert [limits.take_place(n, "ann") for n in range(3)] == [True, True, False]
    assert limits.take_place(0, "bob")
    limits.forget(0)
    assert [limits.take_place(2, "ann") for _ in range(2)] == [True, False]


def test_a_worker_gives_back_only_what_it_holds() -> None:
    limits = NodeLimits(1, 1, 1)
    assert limits.enter(0, "a") == (True, None)
    assert limits.take_place(0, "ann")
    for _ in range(3):
        limits.leave(1, "a")
        limits.leave_place(1, "ann")
        limits.leave(0, "b")
    assert limits.connections == 1
    assert not limits.take_place(1, "ann")


def test_limits_that_change_count_from_then_on_and_take_nothing_away() -> None:
    limits = NodeLimits(1, 1, 1)
    assert limits.enter(0, "a") == (True, None)
    assert limits.take_place(0, "ann")
    limits.change(3, 2, 2)
    assert [limits.enter(1, "a"), limits.enter(1, "b")] == [(True, None)] * 2
    assert limits.take_place(1, "ann")
    limits.change(1, 1, 1)
    assert limits.connections == 3
    limits.leave(0, "a")
    assert limits.enter(0, "c") == (True, "connections")
    assert not limits.take_place(0, "ann")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["enter", "leave", "die"]))))
def test_whatever_happens_the_count_is_of_those_inside(moves: list[tuple[int, int, str]]) -> None:
    limits, inside = NodeLimits(5, 2, 1), list[tuple[int, str]]()
    for worker, last, move in moves:
        network = f"10.0.0.{last}"
        if move == "enter" and limits.enter(worker, network)[0]:
            inside.append((worker, network))
        elif move == "leave":
            limits.leave(worker, network)
            if (worker, network) in inside:
                inside.remove((worker, network))
        elif move == "die":
            limits.forget(worker)
            inside = [each for each in inside if each[0] != worker]
        assert limits.connections == len(inside)
