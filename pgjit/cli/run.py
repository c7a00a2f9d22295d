"""Runs one command: finds it in the table, renders its error, decides the exit code."""

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

# The class of all errors of a command line, a parent of typer.BadParameter. typer exports no name for it.
_WRONG_USAGE: type[Any] = typer.BadParameter.__mro__[2]
_HELP = """pgjit: just-in-time access to PostgreSQL for AI agents.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 faults in a file, 4 a port, file or server cannot be used."""


def command(name: str) -> typer.Typer:
    """Import the command `name` of `COMMANDS`."""
    entry = COMMANDS[name]
    run_by = getattr(importlib.import_module(entry.module), entry.function)
    if isinstance(run_by, typer.Typer):
        return run_by  # a group with subcommands
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = {"allow_interspersed_args": not entry.passes_on}
    app.command(name=name, help=None, context_settings=settings)(run_by)
    return app


def _overview() -> str:
    rows = "\n".join(f"  {name:<10} {entry.summary}" for name, entry in COMMANDS.items())
    return f"{_HELP}\n\nCommands:\n{rows}\n\n`pgjit COMMAND --help` describes its options."


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code."""
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
        return _report(fault, Status.INVALID)
    except (ServerUnavailable, JournalUnavailable) as fault:
        return _report(fault, Status.UNAVAILABLE)
    except PgjitError as fault:
        return _report(fault, Status.FAILED)
    except OSError as fault:
        place = f"{fault.filename}: " if fault.filename else ""
        print(f"error: {place}{fault.strerror or fault}", file=sys.stderr)
        return Status.UNAVAILABLE
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("pgjit.demo"):
            raise
        return _report(_demo_missing(first), Status.UNAVAILABLE)
    except _WRONG_USAGE as fault:
        fault.show()
        return Status.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return Status.FAILED
    return int(result or 0)


def _demo_missing(name: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"command `{name}` is not part of this installation",
        reference="demo-not-installed",
        detail="The package `pgjit.demo` is missing: a production image does not have it.",
        hint="Install it with: pip install 'pgjit[demo]'. Or build the image with: --target demo.",
    )


def _report(fault: PgjitError, status: Status) -> Status:
    print(fault.terminal(), file=sys.stderr)
    return status
