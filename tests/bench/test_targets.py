"""Every target has a verdict, whatever was measured."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, Spread, percentile, spread
from tests.bench.targets import TARGETS, verdicts


def _figure(case: str, name: str, **ways: float) -> Figure:
    return Figure(case, name, "", {way: Spread(value, value, value) for way, value in ways.items()})


def _words(*figures: Figure) -> dict[str, str]:
    return {verdict.target.name: verdict.word for verdict in verdicts(figures) if verdict.value is not None}


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (
            _figure("prepared-8", "transactions", direct=10, pgbouncer=10, pgjit=9),
            {"throughput, prepared, 8 clients": "met"},
        ),
        (
            _figure("prepared-8", "transactions", direct=10, pgbouncer=10, pgjit=8.9),
            {"throughput, prepared, 8 clients": "NOT MET"},
        ),
        (_figure("prepared-8", "transactions", direct=10, pgjit=8.9), {}),
        (
            _figure("prepared-8", "CPU", pgbouncer=20, pgjit=31),
            {"CPU a transaction, prepared, 8 clients": "NOT MET"},
        ),
        (
            _figure("connect-4", "transactions", direct=130, pgbouncer=500, pgjit=100),
            {"connect, login, query: time of direct's": "met"},
        ),
        (_figure("decision-hit", "time", pgjit=1.1), {"decision, cached": "NOT MET"}),
        (_figure("latency", "p50 added", pgbouncer=-3, pgjit=30), {}),
    ],
)
def test_a_figure_meets_its_target_or_not(figure: Figure, words: dict[str, str]) -> None:
    assert words == _words(figure)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = list(verdicts([]))
    assert len(found) == len(TARGETS)
    assert {verdict.met for verdict in found} == {None}


def test_a_reason_is_that_of_the_verdict() -> None:
    missed = Figure("idle-5000", "memory", "KiB", {}, "the server takes 100 sessions")
    reasons = {verdict.target.name: verdict.why for verdict in verdicts([missed]) if verdict.why}
    assert reasons == {"memory of an idle session, of 5,000": "the server takes 100 sessions"}


def test_the_median_comes_with_the_lowest_and_the_highest() -> None:
    assert spread([3, 1, 8]) == Spread(3, 1, 8)
    assert spread([4]).share == 0


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([7], 0.99) == 7
