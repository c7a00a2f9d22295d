"""The report as one HTML page: nothing is loaded from elsewhere, nothing runs, plots are inline SVG.

Decides its look. INVARIANT: every text from the journal goes through `_text`: it is escaped for HTML, and characters
that hide or change direction are written out. Pure.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

from pgjit.audit.reading.reader import Rows
from pgjit.audit.reading.report import PARTS, AuditReport
from pgjit.audit.reading.values import cell, time_of
from pgjit.cli.plain import plain

__all__ = ["report_page"]

_WIDTH, _LABEL, _BAR = 760, 220, 18
_MOST_BARS: Final = 15
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2330; --line: #d5dae3; --bar: #3465a4; --bad: #c4342b; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --line: #3a4252; --bar: #7aa6e0; --bad: #ef7a72; --paper: #14181f }
}
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } p { margin: .3rem 0 .8rem }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  max-width: 30rem; overflow-wrap: anywhere }
td.n { text-align: right; font-variant-numeric: tabular-nums } .warn { color: var(--bad); font-weight: 600 }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
svg .bar { fill: var(--bar) } svg .bad { fill: var(--bad) }
"""
# The plot of a part: the columns of its label and its value, and whether the bars are of something bad.
_PLOTS: Final[dict[str, tuple[str, str, bool]]] = {
    "activity": ("day", "allowed", False),
    "denials": ("reason", "times", True),
    "kills": ("session", "took_ms", False),
    "rows": ("who", "rows", False),
}


def report_page(report: AuditReport) -> str:
    since = "the beginning" if report.since is None else time_of(report.since)
    until = "now" if report.until is None else time_of(report.until)
    notices = "".join(f'<p class="warn">NOT COMPLETE: {_text(notice)}</p>' for notice in report.notices)
    links = " · ".join(f'<a href="#{name}">{_text(PARTS[name].title)}</a>' for name in report.parts)
    parts = "\n".join(_part(name, rows) for name, rows in report.parts.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pgjit audit report</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>pgjit audit report</h1>
<p>From {_text(since)} to {_text(until)}; made {_text(time_of(report.made_at))}. All times are UTC.</p>
{notices}<p>{links}</p>
{parts}
</body></html>
"""


def _part(name: str, rows: Rows) -> str:
    part = PARTS[name]
    plot = ""
    if rows.rows and name in _PLOTS:
        label, value, bad = _PLOTS[name]
        plot = _bars(_summed(rows, label, value), value, bad=bad)
    more = "<p>There are more; this is the first 1000.</p>" if rows.more else ""
    head = f"<h2>{_text(part.title)}</h2><p>{_text(part.note)}</p>"
    return f'<section id="{name}">{head}{plot}{_table(rows)}{more}</section>'


def _table(rows: Rows) -> str:
    if not rows.rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{_text(column)}</th>" for column in rows.columns)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _cell(value: Any) -> str:
    kind = ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{kind}>{_text(cell(value))}</td>"


def _summed(rows: Rows, label: str, value: str) -> list[tuple[str, float]]:
    """The largest values, one for each label; days stay in their order."""
    at, of = rows.columns.index(label), rows.columns.index(value)
    sums: dict[str, float] = {}
    for row in rows.rows:
        sums[cell(row[at])] = sums.get(cell(row[at]), 0) + float(row[of] or 0)
    if label == "day":
        return sorted(sums.items())[-_MOST_BARS:]
    return sorted(sums.items(), key=lambda each: -each[1])[:_MOST_BARS]


def _bars(values: Sequence[tuple[str, float]], unit: str, *, bad: bool) -> str:
    highest = max((value for _, value in values), default=0) or 1
    room = _WIDTH - _LABEL - 90
    lines = "".join(
        _bar(at, label, value, room * value / highest, bad=bad) for at, (label, value) in enumerate(values)
    )
    height = len(values) * (_BAR + 6) + 4
    return (
        f'<svg role="img" aria-label="{_text(unit)}" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}">{lines}</svg>'
    )


def _bar(at: int, label: str, value: float, length: float, *, bad: bool) -> str:
    top = at * (_BAR + 6) + 2
    kind = "bad" if bad else "bar"
    shown = label if len(label) <= 32 else f"{label[:31]}…"
    return (
        f'<text x="{_LABEL - 8}" y="{top + 13}" text-anchor="end">{_text(shown)}</text>'
        f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{max(length, 1):.1f}" height="{_BAR}"/>'
        f'<text x="{_LABEL + length + 6:.1f}" y="{top + 13}">{value:,.0f}</text>'
    )


def _text(text: str) -> str:
    return html.escape(plain(text), quote=True)
