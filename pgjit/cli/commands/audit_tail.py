"""`pgjit audit tail`: the journal as it is written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.audit_settings import ConfigPath, Folders, WithCatalog, journal_folders
from pgjit.cli.commands.audit_list import Decided
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.audit.reading.following import JournalFollower
    from pgjit.audit.reading.tail_filter import TailFilter

__all__ = ["tail"]

_SECONDS = 0.25
pause = time.sleep


def tail(
    identity: Annotated[str | None, typer.Option(metavar="WHO", help="Only of one identity.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="Only under one policy.")] = None,
    connection: Annotated[str | None, typer.Option(metavar="CONNECTION", help="Only on one connection.")] = None,
    window: Annotated[str | None, typer.Option(metavar="WINDOW", help="Only of one window.")] = None,
    session: Annotated[str | None, typer.Option(metavar="SESSION", help="Only of one session.")] = None,
    decision: Annotated[Decided | None, typer.Option(help="Only allowed, or refused executions.")] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="Only statements with this text in them.")] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only such records: execution, window, login.refused."),
    ] = None,
    catalog: WithCatalog = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=100_000, help="So many of the last ones first.")
    ] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on until Ctrl-C.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as they are, one a line.")] = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """Print the journal's records as they are written, one a line, until Ctrl-C. It follows into new segments."""
    from pgjit.audit.reading.faults import AuditUnavailable
    from pgjit.audit.reading.following import JournalFollower
    from pgjit.audit.reading.source import find_journals
    from pgjit.audit.reading.tail_filter import TailFilter

    chosen = TailFilter(
        identity=identity,
        policy=policy,
        connection=connection,
        window=window,
        session=session,
        decision=None if decision is None else decision.value,
        text=text,
        catalog=catalog,
        kinds=frozenset(kinds or ()),
    )
    try:
        places = [journal.folder for journal in find_journals(journal_folders(folders, config))]
    except AuditUnavailable as fault:
        print(fault.terminal(), file=sys.stderr)
        return Status.UNAVAILABLE
    with ExitStack() as stack:
        followers = [stack.enter_context(closing(JournalFollower(place))) for place in places]
        try:
            _print_last(followers, chosen, lines, as_json=as_json)
            while follow:
                _print(_new(followers), chosen, as_json=as_json)
                pause(_SECONDS)
        except (KeyboardInterrupt, BrokenPipeError):
            return Status.OK
    return Status.OK


def _print_last(followers: list[JournalFollower], chosen: TailFilter, lines: int, *, as_json: bool) -> None:
    """The last records that are shown; those before them tell who has which session."""
    from pgjit.cli.audit_tail_text import parsed

    found = [(line, record) for each in followers for line in each.begin(200_000) if (record := parsed(line))]
    found.sort(key=lambda each: str(each[1].get("time")))
    shown = [each for each in found if chosen.takes(each[1])]
    _write(shown[len(shown) - lines :] if lines < len(shown) else shown, chosen, as_json=as_json)


def _new(followers: list[JournalFollower]) -> Iterator[bytes]:
    for each in followers:
        yield from each.poll()
        if each.missed:
            print(
                f"NOT COMPLETE: {each.missed} lines were gone before they could be read", file=sys.stderr, flush=True
            )
            each.missed = 0


def _print(lines: Iterator[bytes], chosen: TailFilter, *, as_json: bool) -> None:
    from pgjit.cli.audit_tail_text import parsed

    for line in lines:
        record = parsed(line)
        if record is not None and chosen.takes(record):
            _write([(line, record)], chosen, as_json=as_json)


def _write(found: list[tuple[bytes, dict[str, object]]], chosen: TailFilter, *, as_json: bool) -> None:
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
