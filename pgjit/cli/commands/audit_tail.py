"""`pgjit audit tail`: the journal as it is written."""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.audit_settings import ConfigPath, Folders, WithCatalog, journal_places
from pgjit.cli.commands.audit_list import Decided
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.audit.reading.following import JournalFollower
    from pgjit.audit.reading.tail_filter import TailFilter, Written

__all__ = ["tail"]

_SECONDS = 0.25
_MOST_READ = 200_000  # lines before the first that is shown
pause = time.sleep


def tail(
    identity: Annotated[str | None, typer.Option(metavar="WHO", help="Only of one identity.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Only of sessions that this group's membership opened.")
    ] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="Only under one policy.")] = None,
    connection: Annotated[str | None, typer.Option(metavar="CONNECTION", help="Only on one connection.")] = None,
    window: Annotated[str | None, typer.Option(metavar="WINDOW", help="Only of one window.")] = None,
    session: Annotated[str | None, typer.Option(metavar="SESSION", help="Only of one session.")] = None,
    touches: Annotated[
        str | None,
        typer.Option("--object", metavar="NAME", help="Only executions that read, wrote or called it."),
    ] = None,
    decision: Annotated[Decided | None, typer.Option(help="Only allowed, or refused executions.")] = None,
    sqlstate: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Only what ended with this SQLSTATE, or class of them."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="All from then on first: 2026-11-28T14:30, today, 2h (ago)."),
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Only statements with this text in them.")] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only such records: execution, window, login.refused."),
    ] = None,
    catalog: WithCatalog = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=0, max=100_000, help="So many of the last ones first; by default 10."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on until Ctrl-C.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as they are, one a line.")] = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """Print the journal's records as they are written, one a line, until Ctrl-C. It follows into new segments."""
    from pgjit.audit.reading.faults import AuditUnavailable
    from pgjit.audit.reading.following import JournalFollower
    from pgjit.audit.reading.moments import read_moment
    from pgjit.audit.reading.source import find_journals, followed
    from pgjit.audit.reading.tail_filter import TailFilter

    chosen = TailFilter(
        identity=identity,
        group=group,
        policy=policy,
        connection=connection,
        window=window,
        session=session,
        decision=None if decision is None else decision.value,
        touches=touches,
        sqlstate=sqlstate,
        since=None if since is None else read_moment(since, datetime.now(UTC), "--since"),
        text=text,
        catalog=catalog,
        kinds=frozenset(kinds or ()),
    )
    try:
        places = followed(find_journals(journal_places(folders, config)))
    except AuditUnavailable as fault:
        print(fault.terminal(), file=sys.stderr)
        return Status.UNAVAILABLE
    with ExitStack() as stack:
        followers = [stack.enter_context(closing(JournalFollower(place))) for place in places]
        try:
            _print(_last(followers, chosen, lines), chosen, as_json=as_json)
            while follow:
                _print(_shown(_new(followers), chosen), chosen, as_json=as_json)
                pause(_SECONDS)
        except (KeyboardInterrupt, BrokenPipeError):
            return Status.OK
    return Status.OK


def _last(followers: list[JournalFollower], chosen: TailFilter, lines: int | None) -> Iterable[Written]:
    """The last records that are shown; those before them show who has which session."""
    if chosen.since is None:
        found = heapq.merge(*(each.begin(_MOST_READ) for each in followers), key=_time)
        return deque(_shown(found, chosen), maxlen=10 if lines is None else lines)
    found = heapq.merge(*(each.begin_at(chosen.since) for each in followers), key=_time)
    shown = _shown(found, chosen)
    return shown if lines is None else deque(shown, maxlen=lines)


def _time(line: bytes) -> bytes:
    """The time is in the same place of each record, near its beginning, and sorts as text."""
    return line.partition(b'"time":"')[2][:27]


def _new(followers: list[JournalFollower]) -> Iterator[bytes]:
    for each in followers:
        yield from each.poll()
        if each.missed:
            print(
                f"NOT COMPLETE: {each.missed} lines were gone before they could be read", file=sys.stderr, flush=True
            )
            each.missed = 0


def _shown(lines: Iterable[bytes], chosen: TailFilter) -> Iterator[Written]:
    from pgjit.cli.audit_tail_text import parsed

    for line in lines:
        if (record := parsed(line)) is not None:
            yield from chosen.take(line, record)


def _print(found: Iterable[Written], chosen: TailFilter, *, as_json: bool) -> None:
    from pgjit.cli.audit_tail_text import record_line
    from pgjit.cli.printing import width

    terminal = sys.stdout.isatty()
    colours = terminal and "NO_COLOR" not in os.environ
    for line, record in found:
        if as_json:
            print(line.decode("utf-8", "backslashreplace"), flush=True)
        else:
            room = width() if terminal else None
            print(record_line(record, chosen.who(record), room, colours=colours), flush=True)
