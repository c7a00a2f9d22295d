"""The drawing of a window: each execution once, in its place, and the same in words."""

from __future__ import annotations

from typing import Any

import pytest

from pgjit.console.pages.replay import steps_of
from pgjit.console.timeline import outcome_of, timeline_of


def ran(second: float, duration: float = 0.001, session: str = "s_1", **members: Any) -> dict[str, Any]:
    at = f"2026-11-24T09:00:{second:09.6f}Z"
    return {"time": at, "session": session, "duration_us": int(duration * 1e6), "ended": "completed", **members}


def test_marks_stand_where_their_executions_ran() -> None:
    drawn = timeline_of([ran(0), ran(5, 2.5, "s_2"), ran(9.999)])
    assert drawn is not None
    first, long, last = drawn.marks
    assert (first.x, first.width, first.long) == (0, 2, False)
    assert (long.x, long.long) == (499, True)
    assert long.width == pytest.approx(250)
    assert last.x + last.width <= 1000
    assert drawn.lanes == ("s_1", "s_2")
    assert first.y < long.y < drawn.height
    assert drawn.words == "3 completed, 1 longer than 1 s"


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"decision": "deny", "ended": "refused"}, "refused"),
        ({"ended": "failed"}, "failed"),
        ({"ended": "limited"}, "limited"),
        ({"ended": "cut"}, "cut"),
        ({"ended": "suspended"}, "completed"),
        ({"ended": "skipped"}, "completed"),
        ({"ended": "unknown"}, "unknown"),
        ({"ended": "something new"}, "unknown"),
    ],
)
def test_how_it_ended_is_told_apart(members: dict[str, str], kind: str) -> None:
    assert outcome_of({**ran(0), **members}) == kind


def test_nothing_and_one_moment_can_be_drawn() -> None:
    assert timeline_of([]) is None
    drawn = timeline_of([ran(1, 0), ran(1, 0)])
    assert drawn is not None
    assert {mark.x for mark in drawn.marks} == {0}
    running = dict(ran(1))
    del running["duration_us"], running["ended"]
    drawn = timeline_of([running])
    assert drawn is not None
    assert drawn.marks[0].kind == "unknown"


def test_a_clock_that_went_back_is_no_pause() -> None:
    records = [
        {"type": "session.opened", "time": "2026-11-24T09:00:10Z", "source": "x", "tls": "y"},
        {"type": "execution", "time": "2026-11-24T09:00:04Z", "statement": "x" * 5000, "decision": "deny",
         "execution": "s_1/1"},
        {"type": "outcome", "time": "2026-11-24T09:00:06.500Z", "ended": "refused", "execution": "s_1/1"},
    ]  # fmt: skip
    steps = steps_of(records)
    assert [each.at for each in steps] == [0, 0, 2500]
    assert [each.clock for each in steps] == ["+00:00:00.000", "+00:00:00.000", "+00:00:02.500"]
    assert (steps[1].refused, steps[1].more, len(steps[1].statement or "")) == (True, True, 4000)
