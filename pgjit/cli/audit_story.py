"""The story of a window on one page, and the steps of a session's replay.

Decides the headings, their order, and how each record is said in a line. Pure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pgjit.audit.plain_text import plain
from pgjit.audit.reading.record_words import milliseconds, outcome_words, proof_words, record_words, who_words
from pgjit.cli.audit_texts import clock, result, statement_lines
from pgjit.cli.columns import TableColumn, columns

__all__ = ["event_lines", "step_lines", "window_page"]

Item = Mapping[str, Any]
_ASKED: Final = ("request.made", "request.verdict", "request.ended")
_ENDED: Final = (
    "window.revoked", "window.ending", "backend.remains", "backend.gone", "window.ended", "break_glass.signed_off",
)  # fmt: skip


def window_page(story: Item, width: int, *, whole: bool) -> str:
    """`story`: the document of a WindowStory. `whole`: statements are not shortened to a line."""
    window, events = story["window"], story["events"]
    lines = [part for each in _head(window) for part in _wrapped(each, width)]
    asked = [each for each in events if each["type"] in _ASKED]
    lines += _section("request", _events(asked, width))
    opening = [each for each in events if each["type"] in ("window.opened", "break_glass.used")]
    lines += _section("opening", _events(opening, width))
    lines += _section("sessions", [part for each in story["sessions"] for part in _session(each, width - 2)])
    lines += _section(_counted(story["totals"]), _executions(story["executions"], width, whole=whole))
    shown, every = len(story["executions"]), story["totals"].get("executions", 0)
    hidden = story["totals"].get("catalog", 0)
    if shown < every:
        lines.append(f"  ({every - shown} more, {hidden} of them by drivers: pgjit audit list --catalog --window ID)")
    ended = [each for each in events if each["type"] in _ENDED]
    lines += _section("end", _events(ended, width) or ["the end is not recorded"])
    return "\n".join(lines)


def event_lines(record: Item, width: int) -> list[str]:
    """Any record but an execution or outcome: its time, and what happened."""
    head = f"{clock(record['time'])[:19]}  "
    room = max(width - 2, 40)
    return textwrap.wrap(
        plain(record_words(record)),
        room,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
    )


def step_lines(record: Item, elapsed: float) -> list[str]:
    """A step of a replay: the statement as it was sent, or what came of it."""
    head = f"{_elapsed(elapsed)}  "
    if record["type"] == "execution":
        refused = "" if record.get("decision") == "allow" else f"  -- {record.get('decision')}"
        lines = statement_lines(str(record.get("statement", "")), " " * len(head))
        return [head + lines[0].lstrip() + refused, *lines[1:]]
    if record["type"] == "outcome":
        return [head + "-> " + plain(outcome_words(record))]
    return [head + plain(f"[{record['type']}] {record_words(record)}")]


def _head(window: Item) -> Iterator[str]:
    yield (f"window {window['window']}: {who_words(window)} under {window['policy']} on {window.get('connection')}")
    ended = (
        f"ended {clock(window['ended_at'])[:19]}: {window.get('end_reason')}" if "ended_at" in window else "not ended"
    )
    times = f"{clock(window['opened_at'])[:19]} to {clock(window.get('ends_at', '-'))[:19]} UTC"
    yield f"{times}, {ended}"
    if window.get("break_glass"):
        signed = window.get("signed_off_by")
        yield (f"break-glass, {'not signed off' if signed is None else f'signed off by {signed}'}")


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines; the further ones stand four further to the right."""
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(plain(text), max(width, 40), subsequent_indent=f"{indent}    ", break_on_hyphens=False)


def _events(records: Sequence[Item], width: int) -> list[str]:
    return [line for each in records for line in event_lines(each, width)]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *("  " + line for line in lines)] if lines else []


def _session(session: Item, width: int) -> Iterator[str]:
    program = session.get("application_name") or "-"
    opened = f"{session['session']}  {clock(session['opened_at'])[:19]}  {session.get('source', '-')}  {program}"
    yield from _wrapped(opened, width)
    if "ended_at" not in session:
        yield "  no end is recorded: it is live, or pgjit was killed"
        return
    figures = f"{session.get('reason')}, {session.get('executions', 0)} executions{proof_words(session)}"
    yield from _wrapped(f"  ended {clock(session['ended_at'])[:19]}: {figures}", width)


def _counted(totals: Item) -> str:
    parts = [
        f"{totals.get('executions', 0)} executions",
        f"{totals.get('rows', 0)} rows",
        f"{totals.get('bytes', 0)} bytes",
    ]
    parts += [f"{totals[name]} {name}" for name in ("refused", "failed", "stopped") if totals.get(name)]
    written = totals.get("written")
    return plain(", ".join(parts) + (f"; wrote {', '.join(written)}" if written else "; wrote nothing"))


def _executions(items: Sequence[Item], width: int, *, whole: bool) -> list[str]:
    if whole:
        return [line for each in items for line in _whole(each)]
    titles = (
        TableColumn("TIME"), TableColumn("RESULT", keep=True), TableColumn("ROWS", keep=True, right=True),
        TableColumn("MS", keep=True, right=True), TableColumn("STATEMENT"),
    )  # fmt: skip
    rows = [
        (clock(each["time"])[11:23], result(each), str(each.get("rows", "")), milliseconds(each.get("duration_us")),
         " ".join(str(each["statement"]).split()))
        for each in items
    ]  # fmt: skip
    return columns(titles, rows, width - 2) if rows else []


def _whole(item: Item) -> Iterator[str]:
    figures = f"{item.get('rows', 0)} rows, {milliseconds(item.get('duration_us', 0))} ms"
    yield plain(f"{clock(item['time'])[11:23]}  {result(item)}, {figures}  ({item['execution']})")
    yield from statement_lines(str(item["statement"]), "    ")


def _elapsed(seconds: float) -> str:
    whole = int(seconds)
    return f"+{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{int(seconds * 1000) % 1000:03}"
