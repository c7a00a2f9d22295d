"""The report as one HTML page: nothing is loaded from elsewhere, nothing runs, plots are inline SVG.

Decides its look. INVARIANT: every text from the journal goes through `_text`: it is escaped for HTML, and characters
that hide or change direction are written out. Pure.
"""

from __future__ import annotations

import html
from typing import Any, Final

from pgjit.audit.plain_text import plain
from pgjit.audit.reading.reader import Rows
from pgjit.audit.reading.report import PARTS, AuditReport
from pgjit.audit.reading.report_plots import bars_of, plot_summary, report_plot
from pgjit.audit.reading.values import as_documents, cell, time_of

__all__ = ["report_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2330; --line: #d5dae3; --bar: #3465a4; --bad: #c4342b; --odd: #b07d00;
  --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --line: #3a4252; --bar: #7aa6e0; --bad: #ef7a72; --odd: #d9a520;
    --paper: #14181f }
}
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } p { margin: .3rem 0 .8rem }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  max-width: 30rem; overflow-wrap: anywhere }
td.n { text-align: right; font-variant-numeric: tabular-nums } .warn { color: var(--bad); font-weight: 600 }
.plot { max-width: 48rem; font: 12px system-ui, sans-serif } .plot text { fill: var(--ink) }
.plot .track { fill: var(--line) } .plot .bar { fill: var(--bar) } .plot .refused { fill: var(--bad) }
.plot .failed { fill: var(--odd) } .plot .stopped { fill: var(--ink) }
"""


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
    items = as_documents(rows)
    bars = bars_of(name, items)
    plot = report_plot(name, part.title, bars) if bars else ""
    summary = plot_summary(name, items, more=rows.more)
    about = "" if summary is None else f"<p>{_text(summary)}</p>"
    more = "<p>There are more; this is the first 1000.</p>" if rows.more else ""
    head = f"<h2>{_text(part.title)}</h2><p>{_text(part.note)}</p>"
    return f'<section id="{name}">{head}{about}{plot}{_table(rows)}{more}</section>'


def _table(rows: Rows) -> str:
    if not rows.rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{_text(column)}</th>" for column in rows.columns)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _cell(value: Any) -> str:
    kind = ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{kind}>{_text(cell(value))}</td>"


def _text(text: str) -> str:
    return html.escape(plain(text), quote=True)
