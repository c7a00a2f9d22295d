"""The figures and verdicts of a run on a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tests.bench.bed import PGBOUNCER, PGJIT
from tests.bench.figures import Figure
from tests.bench.targets import Verdict

__all__ = ["cell", "facts_lines", "figure_line", "heading", "shown", "verdict_lines"]

_CASE, _NAME, _WAY = 17, 18, 13


def facts_lines(facts: dict[str, str]) -> Iterator[str]:
    for name, value in facts.items():
        yield f"{name + ':':13}{value}"[:80]


def heading(ways: Sequence[str]) -> str:
    return " " * (_CASE + _NAME) + "".join(f"{way:>{_WAY}}" for way in ways) + " ratio"


def figure_line(figure: Figure, ways: Sequence[str]) -> str:
    """The ratio is that of pgjit to pgbouncer."""
    line = f"{figure.case:{_CASE}}{figure.name + ', ' + figure.unit:{_NAME}}"
    if figure.why:
        return f"{line} not measured: {figure.why}"[:80]
    for way in ways:
        line += f"{cell(figure, way):>{_WAY}}"
    ratio = figure.ratio(PGJIT, PGBOUNCER)
    return line + (f"{shown(ratio):>6}" if ratio is not None else "")


def cell(figure: Figure, way: str) -> str:
    """The median with half the range of the rounds; nothing if it was not measured in that way."""
    value = figure.ways.get(way)
    return "" if value is None else shown(value.median) + (f" ±{value.share:.0%}" if value.share else "")


def shown(value: float) -> str:
    """Three digits are enough."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def verdict_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        value = "-" if verdict.value is None else shown(verdict.value) + verdict.target.unit
        yield f"{verdict.target.name:41}{value:>11}  {verdict.target.wanted:12} {verdict.word}"
        if verdict.why:
            yield from textwrap.wrap(f"because {verdict.why}", 76, initial_indent="    ", subsequent_indent="    ")
    met = sum(verdict.met is True for verdict in verdicts)
    yield f"{met} of {len(verdicts)} targets met, {sum(verdict.met is None for verdict in verdicts)} not measured"
