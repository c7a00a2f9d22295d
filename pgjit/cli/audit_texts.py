"""Executions and records for people: the table of a list, and everything of one execution.

Decides which members are shown, in which order, and how times, results and values are written. Pure.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pgjit.audit.plain_text import plain
from pgjit.audit.reading.record_words import milliseconds
from pgjit.audit.reading.values import cell, time_of
from pgjit.cli.caret import pointed
from pgjit.cli.columns import TableColumn, columns

__all__ = [
    "clock",
    "details",
    "execution_table",
    "record_text",
    "result",
    "statement_lines",
    "value_table",
]

Item = Mapping[str, Any]
_INDENT: Final = 12
_MOST_EXPANDED: Final = 50
_MOST_ROWS: Final = 20
_RECORD_HEAD: Final = ("v", "seq", "time", "type")


def execution_table(items: Sequence[Item], width: int) -> str:
    """Without several journals the short number of the record is enough for the next command."""
    if not items:
        return "There is no such execution."
    several = len({each.get("journal") for each in items}) > 1
    days = {str(each["time"])[:10] for each in items}
    titles = (
        TableColumn("EXECUTION" if several else "RECORD", keep=True, right=not several),
        TableColumn(days.pop() if len(days) == 1 else "TIME (UTC)", keep=True),
        TableColumn("WHO"),
        TableColumn("RESULT", keep=True),
        TableColumn("ROWS", keep=True, right=True),
        TableColumn("MS", keep=True, right=True),
        TableColumn("STATEMENT"),
    )
    rows = [
        (str(each["execution"] if several else each["seq"]), clock(each["time"])[11 if not days else 0 : 19],
         _who(each), result(each), str(each.get("rows", "")), milliseconds(each.get("duration_us")),
         " ".join(str(each["statement"]).split()))
        for each in items
    ]  # fmt: skip
    return "\n".join(columns(titles, rows, width))


def value_table(names: Sequence[str], values: Sequence[Sequence[object]], width: int) -> str:
    """Any result as a table; numbers stand on the right. A few rows that are too wide for it: a column a line."""
    rows = [[_cell(value) for value in row] for row in values]
    if len(rows) <= _MOST_EXPANDED and sum(map(len, names)) + 2 * len(names) > width:
        return "\n".join(_expanded(names, rows))
    right = [all(_is_number(row[at]) for row in rows) and bool(rows) for at in range(len(names))]
    titles = [TableColumn(plain(name), right=right[at]) for at, name in enumerate(names)]
    return "\n".join(columns(titles, rows, width))


def _expanded(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    room = max(map(len, names))
    for number, row in enumerate(rows, 1):
        yield f"-[ row {number} ]{'-' * room}"
        yield from (f"{plain(name):<{room}}  {plain(text)}".rstrip() for name, text in zip(names, row, strict=True))


def _cell(value: object) -> str:
    """A time without what is 0 of its fraction: a column that is wide shows less of the others."""
    if isinstance(value, datetime):
        return clock(time_of(value)).rstrip("0").rstrip(".")
    return cell(value)


def details(detail: Item, width: int) -> str:
    """Everything of one record. `detail`: the document of a RecordDetail."""
    execution = detail.get("execution")
    lines = list(_session_lines(detail)) if execution is None else [*_execution_lines(execution, detail, width)]
    if execution is None:
        lines = [record_text(record) for record in detail["records"]] + lines
    return "\n".join(lines)


def record_text(record: Item) -> str:
    """A record of any type: its members, one a line."""
    head = _field(str(record["type"]), f"record {record['seq']}, {clock(record['time'])} UTC")
    rest = [_field(name, _value(value)) for name, value in record.items() if name not in _RECORD_HEAD]
    return "\n".join([head, *rest])


def result(execution: Item) -> str:
    """How it ended, in a word or by its SQLSTATE."""
    ended = str(execution.get("ended", "unknown"))
    if execution.get("decision") == "deny":
        return "refused"
    if ended == "completed":
        return "ok"
    return str(execution.get("sqlstate") or ended) if ended in ("failed", "limited") else ended


def clock(moment: object) -> str:
    """A time of the journal as people read it; it is UTC."""
    return str(moment).replace("T", " ").removesuffix("Z")


def statement_lines(statement: str, indent: str) -> list[str]:
    """The text of a statement; each line made safe for a terminal."""
    return [indent + "    ".join(map(plain, line.split("\t"))) for line in statement.rstrip("\n").split("\n")]


def _execution_lines(execution: Item, detail: Item, width: int) -> Iterator[str]:
    outcome = f", outcome {execution['outcome_seq']}" if "outcome_seq" in execution else ""
    yield _field(
        "execution", f"{execution['execution']} (record {execution['seq']}{outcome} of {execution['journal']})"
    )
    yield _field("time", f"{clock(execution['time'])} UTC")
    yield from _session_lines(detail, execution)
    yield _field("decision", str(execution["decision"]))
    for name in ("kind", "about", "protocol", "prepared_as", "unresolved"):
        if execution.get(name):
            yield _field(name, str(execution[name]))
    for name in ("through", "reads", "writes", "calls"):
        if execution.get(name):
            yield _field(name, ", ".join(execution[name]))
    if parameters := execution.get("parameters"):
        yield _field("parameters", _value(parameters.get("values", parameters)))
    yield _field("outcome", _outcome(execution))
    yield _field("statement", "").rstrip()
    yield from statement_lines(str(execution["statement"]), "    ")
    if result := detail.get("result"):
        yield from _result_lines(result, width)
    for violation in execution.get("violations") or ():
        yield ""
        yield from _violation(str(execution["statement"]), violation, width)


def _result_lines(kept: Item, width: int) -> Iterator[str]:
    if "fault" in kept:
        yield _field("result", f"not shown: {kept['fault']}")
        return
    rows: list[list[object]] = kept["rows"]
    named = kept["columns"] or [
        {"name": f"column {number}"} for number in range(1, 1 + max(map(len, rows), default=0))
    ]
    yield _field("result", f"{len(rows)} rows are kept")
    yield value_table([str(column["name"]) for column in named], rows[:_MOST_ROWS], width)
    if (more := len(rows) - _MOST_ROWS) > 0:
        yield f"and {more} more: --json shows them all"


def _session_lines(detail: Item, execution: Item | None = None) -> Iterator[str]:
    session, window = detail.get("session"), detail.get("window")
    known: Item = session or window or execution or {}
    if known:
        kind = f"{known['kind']} " if session and "kind" in known else ""
        behalf = f", on behalf of {known['on_behalf_of']}" if known.get("on_behalf_of") else ""
        yield _field("who", f"{_who(known)} ({kind}{known.get('identity', '-')}{behalf})")
        yield _field("policy", f"{known.get('policy', '-')} on {known.get('connection', '-')}")
    if session:
        program = f", {session['application_name']}" if session.get("application_name") else ""
        yield _field("session", f"{session['session']} from {session.get('source', '-')}{program}")
    if window:
        ended = (
            f", ended {clock(window['ended_at'])[:19]} ({window.get('end_reason')})" if "ended_at" in window else ""
        )
        times = f"{clock(window['opened_at'])[:19]} to {clock(window.get('ends_at', '-'))[:19]}"
        yield _field("window", f"{window['window']}, {times}{ended}")
        if window.get("reason"):
            yield _field("reason", str(window["reason"]))


def _outcome(execution: Item) -> str:
    ended = str(execution.get("ended", "unknown"))
    if ended == "unknown":
        return "unknown: no outcome is recorded; it was running when pgjit was killed, or it still runs"
    parts = [ended if not execution.get("command") else f"{ended}: {execution['command']}"]
    if execution.get("sqlstate"):
        parts.append(f"SQLSTATE {execution['sqlstate']}")
    if execution.get("message"):
        parts.append(str(execution["message"]))
    parts.append(f"{execution.get('rows', 0)} rows, {execution.get('bytes', 0)} bytes")
    if execution.get("received"):
        parts.append(f"{execution['received']} bytes received")
    if "first_row_us" in execution:
        parts.append(f"first row after {milliseconds(execution['first_row_us'])} ms")
    parts.append(f"{milliseconds(execution.get('duration_us', 0))} ms")
    return ", ".join(parts)


def _violation(statement: str, violation: Item, width: int) -> Iterator[str]:
    yield plain(f"{violation.get('message')} [{violation.get('rule')}]")
    position = violation.get("position")
    if isinstance(position, int) and 0 < position <= len(statement):
        yield from ("  " + line for line in pointed(statement, position, width - 2).split("\n"))
    for name in ("detail", "hint", "entry"):
        if violation.get(name):
            yield from _wrapped(f"{name}: {violation[name]}", width)


def _wrapped(text: str, width: int) -> Iterable[str]:
    return textwrap.wrap(plain(text), width, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _who(item: Item) -> str:
    return str(item.get("display") or item.get("oid") or item.get("identity") or "-")


def _field(name: str, text: str) -> str:
    return f"{name:<{_INDENT}}{plain(text)}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
