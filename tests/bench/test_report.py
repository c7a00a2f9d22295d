"""What a run prints fits a terminal; what it writes is a page and a plot."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.bench.figures import Figure, Spread
from tests.bench.page import measured_part
from tests.bench.plot import plot
from tests.bench.report import facts_lines, figure_line, heading, verdict_lines
from tests.bench.targets import verdicts

WAYS = ("direct", "pgbouncer", "pgjit")
FIGURES = [
    Figure("decision-medium", "transactions", "/s", {way: Spread(123_456.7, 100_000, 234_567) for way in WAYS}),
    Figure("prepared-8", "CPU", "µs", {"pgbouncer": Spread(29.4, 28, 30), "pgjit": Spread(341, 300, 350)}),
    Figure("idle-5000", "memory", "KiB", {"pgbouncer": Spread(12, 12, 12), "pgjit": Spread(39, 39, 39)}),
    Figure("idle-1000-w2", "memory", "KiB", {}, "the server takes 100 sessions and not one more than these, ever"),
    Figure("stall", "longest CPU", "ms", {"pgjit": Spread(12_345, 12_345, 12_345)}),
]


def test_lines_fit_80_columns() -> None:
    found = list(verdicts(FIGURES))
    facts = {"machine": "x" * 200}
    lines = [heading(WAYS), *(figure_line(one, WAYS) for one in FIGURES), *verdict_lines(found), *facts_lines(facts)]
    assert {line for line in lines if len(line) > 80} == set()


def test_a_line_has_medians_spread_and_ratio() -> None:
    assert figure_line(FIGURES[1], WAYS).split() == ["prepared-8", "CPU,", "µs", "29.4", "±3%", "341", "±7%", "11.6"]


def test_what_was_not_measured_comes_with_the_reason() -> None:
    missed = Figure("idle-1000", "memory", "KiB", {}, "the server takes 100 sessions")
    lines = list(verdict_lines(list(verdicts([missed]))))
    assert "    because the server takes 100 sessions" in lines
    assert figure_line(missed, WAYS).endswith("not measured: the server takes 100 sessions")
    part = measured_part({}, [missed], list(verdicts([missed])), WAYS)
    assert "| memory of an idle session, of 1,000 |  | <= 40 KiB | not measured, because the server takes 100" in part
    rows = [line for line in part.splitlines() if line.startswith("| idle-1000 | ")]
    assert rows == ["| idle-1000 | memory, KiB | not measured: the server takes 100 sessions | | | |"]


def test_the_page_has_every_target_and_every_figure() -> None:
    part = measured_part({"date": "today"}, FIGURES, list(verdicts(FIGURES)), WAYS)
    assert "| idle-5000 | memory, KiB |  | 12.0 | 39.0 | 3.25 |" in part
    assert "| memory of an idle session, of 5,000 | 39.0 KiB | <= 40 KiB | met |" in part
    assert "| prepared-8 | CPU, µs |  | 29.4 ±3% | 341 ±7% | 11.60 |" in part


def test_the_plot_is_well_formed_and_has_a_bar_for_each_value() -> None:
    drawn = ET.fromstring(plot(FIGURES, "a < b"))
    bars = [each for each in drawn.iter("{http://www.w3.org/2000/svg}rect") if each.get("height") == "10"]
    assert len(bars) == 3 + 2
    assert all(float(bar.get("width", "-1")) >= 0 for bar in bars)
