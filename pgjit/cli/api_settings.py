"""Options that several commands of the API have, and how their values are read.

Decides which forms are accepted, and that what ends sessions is confirmed. `api_command.py` has the options that all
these commands have.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["Reason", "ScopeOption", "Watch", "Yes", "confirm", "duration", "moment", "scope_of"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Watch = Annotated[bool, typer.Option("--watch", help="Print again whenever something changes, until Ctrl-C.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking. Required where there is no terminal.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why. It is recorded, and shown to those concerned.")]


class ScopeOption:
    """The options that name what a command is about."""

    Identity = Annotated[
        str | None, typer.Option(metavar="TENANT/OBJECT", help="All of one identity: tenant id and object id.")
    ]
    Policy = Annotated[str | None, typer.Option(metavar="POLICY", help="All of one policy.")]
    Connection = Annotated[str | None, typer.Option(metavar="CONNECTION", help="All of one connection.")]
    All = Annotated[bool, typer.Option("--all", help="Everything.")]


def scope_of(identity: str | None, policy: str | None, connection: str | None, everything: bool) -> dict[str, object]:
    """The one thing that the options name, as the API reads it. Raises WrongUsage unless it is exactly one."""
    given: dict[str, object] = {
        name: value
        for name, value in (("identity", identity), ("policy", policy), ("connection", connection))
        if value is not None
    }
    if everything:
        given["all"] = True
    if len(given) != 1:
        raise WrongUsage("give one of --identity, --policy, --connection and --all")
    if identity is not None and not re.fullmatch(r"[^/\s]+/[^/\s]+", identity):
        raise WrongUsage("--identity is a tenant id, a slash and an object id")
    return given


def duration(text: str | None, option: str) -> timedelta | None:
    """`90s`, `30m`, `2h` or `1d`. Raises WrongUsage."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if not match:
        raise WrongUsage(f"{option} is a whole number with its unit, such as 90s, 30m or 2h")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def moment(lasting: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """The moment after `lasting`, as the API reads it."""
    return (now() + lasting).isoformat(timespec="seconds").replace("+00:00", "Z")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal. Raises Abort for a no, and WrongUsage where there is nobody to ask."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUsage("this needs a confirmation, and there is no terminal: give --yes")
    if not typer.confirm(question, err=True):
        print("Nothing was done.", file=sys.stderr)
        raise typer.Abort
