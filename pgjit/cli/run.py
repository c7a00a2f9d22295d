"""The command line: finds the command, renders errors, decides the exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import typer
import typer.main

from pgjit.cli.status import Status
from pgjit.cli.table import COMMANDS
from pgjit.errors import InvalidFile, JournalUnavailable, PgjitError, ServerUnavailable

__all__ = ["command", "run"]

# The parent of typer.BadParameter that all faults of a command line share: typer exports no name for it.
_WRONG_USAGE: type[Any] = typer.BadParameter.__mro__[2]
_HELP = """pgjit: just-in-time access to PostgreSQL for AI agents.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 faults in a file, 4 something needed cannot be used."""


def command(name: str) -> typer.Typer:
    """One of `COMMANDS`, imported now."""
    entry = COMMANDS[name]
    run_by = getattr(importlib.import_module(entry.module), entry.function)
    if isinstance(run_by, typer.Typer):
        return run_by  # with commands of its own
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = {"allow_interspersed_args": not entry.passes_on}
    app.command(name=name, help=None, context_settings=settings)(run_by)
    return app


def _overview() -> str:
    rows = "\n".join(f"  {name:<10} {entry.summary}" for name, entry in COMMANDS.items())
    return f"{_HELP}\n\nCommands:\n{rows}\n\n`pgjit COMMAND --help` tells more."


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    first = arguments[0] if arguments else "--help"
    if first in ("--help", "-h"):
        print(_overview())
        return Status.OK
    if first == "--version":
        print(f"pgjit {version('pgjit')}")
        return Status.OK
    if first not in COMMANDS:
        print(f"error: there is no command `{first}`\n\n{_overview()}", file=sys.stderr)
        return Status.USAGE
    try:
        result = typer.main.get_command(command(first)).main(
            args=list(arguments[1:]), prog_name=f"pgjit {first}", standalone_mode=False
        )
    except InvalidFile as fault:
        return _tell(fault, Status.INVALID)
    except (ServerUnavailable, JournalUnavailable) as fault:
        return _tell(fault, Status.UNAVAILABLE)
    except PgjitError as fault:
        return _tell(fault, Status.FAILED)
    except OSError as fault:
        place = f"{fault.filename}: " if fault.filename else ""
        print(f"error: {place}{fault.strerror or fault}", file=sys.stderr)
        return Status.UNAVAILABLE
    except _WRONG_USAGE as fault:
        fault.show()
        return Status.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return Status.FAILED
    return int(result or 0)


def _tell(fault: PgjitError, status: Status) -> Status:
    print(fault.terminal(), file=sys.stderr)
    return status
