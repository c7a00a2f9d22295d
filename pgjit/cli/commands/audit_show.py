"""`pgjit audit show`, `window` and `replay`: one record, one window, one session."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.audit_settings import AsJson, Audit, CacheFolder, ConfigPath, Folders, WithCatalog

__all__ = ["replay", "show", "window"]

pause = time.sleep


def show(
    record: Annotated[str, typer.Argument(help="The number of a record, or an execution's id (SESSION/NUMBER).")],
    as_json: AsJson = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """Show one record; of an execution also its outcome, who ran it, its session and its window."""
    from pgjit.audit.reading.record_detail import find_record
    from pgjit.cli.audit_output import print_json
    from pgjit.cli.audit_texts import details
    from pgjit.cli.printing import width

    audit = Audit(folders, config, cache)
    with audit.opened() as reader:
        document = find_record(reader, record).document()
        if as_json:
            print_json(document)
        else:
            print(details(document, width()))
    return audit.status


def window(
    window_: Annotated[str, typer.Argument(metavar="WINDOW", help="The window's id.")],
    whole: Annotated[bool, typer.Option("--whole", help="Whole statements, not a line of each.")] = False,
    catalog: WithCatalog = False,
    as_json: AsJson = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """Show the story of a window: who asked and why, who approved, what ran, and how it ended, with the proof."""
    from pgjit.audit.reading.window_story import window_story
    from pgjit.cli.audit_output import print_json
    from pgjit.cli.audit_story import window_page
    from pgjit.cli.printing import width

    audit = Audit(folders, config, cache)
    with audit.opened() as reader:
        document = window_story(reader, window_, catalog=catalog).document()
        if as_json:
            print_json(document)
        else:
            print(window_page(document, width(), whole=whole))
    return audit.status


def replay(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    speed: Annotated[
        float, typer.Option(min=0, help="1 is as fast as it happened, 10 ten times as fast; 0 does not pause.")
    ] = 1.0,
    longest: Annotated[
        float, typer.Option("--longest-pause", min=0, metavar="SECONDS", help="No pause is longer.")
    ] = 5.0,
    step: Annotated[bool, typer.Option("--step", help="Wait for the return key before each statement.")] = False,
    as_json: AsJson = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
    cache: CacheFolder = None,
) -> int:
    """Replay a session with its pauses: each statement, what came of it, and the time since the start.

    Nothing is run again.
    """
    from pgjit.audit.reading.session_replay import replayed_session
    from pgjit.cli.audit_output import print_json
    from pgjit.cli.audit_story import step_lines

    audit = Audit(folders, config, cache)
    with audit.opened() as reader:
        found, steps = replayed_session(reader, session)
    if as_json:
        print_json({"session": found, "records": [each.record for each in steps]})
        return audit.status
    elapsed = 0.0
    for each in steps:
        elapsed += each.pause
        if step and each.record["type"] == "execution" and sys.stdin.isatty():
            input()
        elif speed and not step:
            pause(min(each.pause / speed, longest))
        print("\n".join(step_lines(each.record, elapsed)), flush=True)
    return audit.status
