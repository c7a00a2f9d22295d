"""What C code does cannot be counted in calls: here the time for n is held against that for 4n, in turns.

Only the ratio is judged, of the shortest of several tries: linear work comes to 4, what is quadratic to 16.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pgjit.sql.guards.oversized_tree import has_oversized_tree
from pgjit.sql.guards.quadratic_lexing import lexes_quadratically
from pgjit.sql.parse import read_message

pytestmark = pytest.mark.slow
TRIES = 7
RATIO = 8.0


def _ratio(work: Callable[[str], object], text: Callable[[int], str], size: int) -> float:
    texts = text(size), text(4 * size)
    best = [float("inf"), float("inf")]
    for _ in range(TRIES):
        for index, each in enumerate(texts):
            begun = time.process_time()
            work(each)
            best[index] = min(best[index], time.process_time() - begun)
    return best[1] / best[0]


@pytest.mark.parametrize(
    "unit", ["-- ,", "-,", ") ,", "(,", "--\n,", "\n,", '",', "[,", "/*,", "*/,", " set,", "update,", "=,"]
)
def test_looking_for_assignments_takes_time_in_proportion_to_the_text(unit: str) -> None:
    assert _ratio(has_oversized_tree, lambda size: "update set " + unit * (size // len(unit)), 64 * 1024) < RATIO


@pytest.mark.parametrize("unit", ["+", "-+", "/*", "/*+", "=", "+" * 63 + " ", "a+"])
def test_looking_for_runs_of_operators_takes_time_in_proportion_to_the_text(unit: str) -> None:
    assert _ratio(lexes_quadratically, lambda size: "SELECT " + unit * (size // len(unit)), 64 * 1024) < RATIO


@pytest.mark.parametrize("unit", ["a,", "'é',", "/* a */1,", "-- =\n1,", "1 + -1,", "f(1),", '"é",'])
def test_reading_takes_time_in_proportion_to_the_text(unit: str) -> None:
    assert _ratio(read_message, lambda size: "SELECT " + unit * (size // len(unit)) + "1", 8 * 1024) < RATIO
