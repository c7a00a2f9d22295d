"""Runs one command: finds it in the table, renders its error, decides the exit code.

INVARIANT: help imports no room that does work; `tests/cli/test_run.py` names the libraries that it must not load.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
import typer.main

from pgjit.build import check_build
from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.status import Status
from pgjit.cli.table import COMMANDS
from pgjit.cli.token_source import NoClientToken
from pgjit.errors import InvalidFile, JournalUnavailable, PgjitError, ServerUnavailable

__all__ = ["command", "root", "run"]

# httpx imports a command line of its own, with a hundred modules, if rich is installed. None keeps it from that.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

# The class of all errors of a command line, a parent of typer.BadParameter. typer exports no name for it.
_WRONG_USAGE: type[Any] = typer.BadParameter.__mro__[2]
_HELP = "Just-in-time access to PostgreSQL for AI agents."
_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 faults in a file, 4 a port, file or server cannot be "
    "used, 5 still pending at the end of --wait, 6 no token."
)


def command(name: str) -> typer.Typer:
    """Import the command `name` of `COMMANDS`."""
    entry = COMMANDS[name]
    run_by = getattr(importlib.import_module(entry.module), entry.function)
    if isinstance(run_by, typer.Typer):
        return run_by  # a group with subcommands
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = {"allow_interspersed_args": not entry.passes_on}
    app.command(name=name, cls=CommandHelp, help=None, context_settings=settings)(run_by)
    return app


def root() -> typer.Typer:
    """`pgjit` itself: its options, and the commands' names and summaries. It imports none of them."""
    app = command_group(_HELP, _EPILOG, context_settings={"help_option_names": ["--help", "-h"]})
    app.callback()(_root_options)
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.summary, rich_help_panel=entry.panel)(_no_command)
    return app


@cache
def _command_line(name: str | None) -> Any:
    """The command `name`, or the root, as typer runs it. To make it takes longer than most commands run."""
    return typer.main.get_command(root() if name is None else command(name))


def _root_options(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print version and build, and exit.", is_eager=True),
    ] = False,
) -> None: ...


def _no_command() -> None:
    """Stands in the root for a command: `run` imports the command itself."""


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code."""
    first = arguments[0] if arguments else "--help"
    try:
        if first == "--version":
            from importlib.metadata import version  # here: it takes as long as all else that help needs

            print(f"pgjit {version('pgjit')}, {check_build()}")
            return Status.OK
        if first in COMMANDS:
            check_build()
            chosen, rest, name = first, arguments[1:], f"pgjit {first}"
        else:
            chosen, rest, name = None, arguments or ["--help"], "pgjit"
        result = _command_line(chosen).main(args=list(rest), prog_name=name, standalone_mode=False)
    except InvalidFile as fault:
        return _report(fault, Status.INVALID)
    except NoClientToken as fault:
        return _report(fault, Status.NO_TOKEN)
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
