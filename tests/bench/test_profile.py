"""The summary of a profile."""

from __future__ import annotations

from tests.bench.profile import own_time


def test_a_function_has_the_samples_in_which_it_ran_itself() -> None:
    stacks = "main (a.py:1);run (a.py:2) 30\nmain (a.py:1);run (a.py:2);work (b.py:1) 60\nmain (a.py:1) 10\n"
    assert own_time(stacks) == [(0.6, "work (b.py:1)"), (0.3, "run (a.py:2)"), (0.1, "main (a.py:1)")]


def test_threads_that_wait_are_left_out() -> None:
    assert own_time("t (a);_worker (concurrent/futures/thread.py:81) 90\nmain (a.py:1) 10\n") == [
        (1.0, "main (a.py:1)")
    ]
