"""The measured part of docs/performance.md, which a full run writes between its markers. The rest is by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.bed import PGBOUNCER, PGJIT
from tests.bench.figures import Figure
from tests.bench.plot import plot
from tests.bench.report import cell, shown
from tests.bench.targets import Verdict

__all__ = ["PAGE", "measured_part", "write_page"]

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_BEGIN, _END = "<!-- begin: written by `make bench` -->", "<!-- end -->"
_PLOT = "![transactions a second and CPU a transaction, in each way](performance.svg)"


def write_page(
    facts: dict[str, str], figures: Sequence[Figure], verdicts: Sequence[Verdict], ways: Sequence[str]
) -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    part = f"{_PLOT}\n\n{measured_part(facts, figures, verdicts, ways)}"
    PAGE.write_text(f"{before}{_BEGIN}\n\n{part}\n{_END}{after}", encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(plot(figures, f"pgjit beside pgbouncer, {facts['date']}"), encoding="utf-8")


def measured_part(
    facts: dict[str, str], figures: Sequence[Figure], verdicts: Sequence[Verdict], ways: Sequence[str]
) -> str:
    lines = ["### Targets", "", "| figure | measured | target | |", "|---|---|---|---|"]
    for verdict in verdicts:
        value = "" if verdict.value is None else shown(verdict.value) + verdict.target.unit
        lines.append(f"| {verdict.target.name} | {value} | {verdict.target.wanted} | {verdict.long_word} |")
    lines += ["", "### The run", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "### All figures", "", f"| case | figure | {' | '.join(ways)} | {PGJIT} / {PGBOUNCER} |"]
    lines.append("|---" * (len(ways) + 3) + "|")
    lines += [_row(figure, ways) for figure in figures]
    return "\n".join(lines) + "\n"


def _row(figure: Figure, ways: Sequence[str]) -> str:
    if figure.why:
        return f"| {figure.case} | {figure.name}, {figure.unit} | not measured: {figure.why} |" + " |" * len(ways)
    cells = [cell(figure, way) for way in ways]
    ratio = figure.ratio(PGJIT, PGBOUNCER)
    return (
        f"| {figure.case} | {figure.name}, {figure.unit} | {' | '.join(cells)} | {f'{ratio:.2f}' if ratio else ''} |"
    )
