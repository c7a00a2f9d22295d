"""The options that every command of the API shares, and how they become a client of the API.

Decides which environment variables are read, and that what ends sessions is confirmed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pgjit.cli.client_settings import SourceName
from pgjit.cli.token_source import TokenOrigin, choose_source, fetch_token

if TYPE_CHECKING:
    from pgjit.cli.api_client import ApiClient

__all__ = [
    "Api", "ApiAudience", "AsJson", "Ca", "Reason", "ScopeOption", "SourceName", "Watch", "Yes", "confirm", "connect",
    "duration", "scope_of",
]  # fmt: skip

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Api = Annotated[
    str | None,
    typer.Option(
        "--api", envvar="PGJIT_API", metavar="URL", help="Address of the API, such as https://pgjit.example.com:8432."
    ),
]
Ca = Annotated[
    str,
    typer.Option(
        envvar=["PGJIT_API_CA", "PGJIT_SSLROOTCERT"],
        metavar="FILE",
        help="File with the CA of the API's certificate, or `system` for this system's CAs.",
    ),
]
ApiAudience = Annotated[
    str | None,
    typer.Option(
        "--audience",
        envvar=["PGJIT_API_AUDIENCE", "PGJIT_AUDIENCE"],
        metavar="ID",
        help="Client id or URI of the API's registration (`api.audience`).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's own JSON.")]
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


def connect(api: str | None, ca: str, audience: str | None, source: TokenOrigin | None = None) -> ApiClient:
    """A client of the API, which gets its token at the first call. Raises BadParameter, OSError, ApiUnreachable."""
    from pgjit.cli import api_client

    if not api:
        raise typer.BadParameter("the API's address is missing: give --api, or set PGJIT_API")
    chosen = source or choose_source(os.environ)

    def token() -> str:
        return fetch_token(chosen, audience).text

    return api_client.ApiClient(api, token, api_client.transport(ca))


def scope_of(identity: str | None, policy: str | None, connection: str | None, everything: bool) -> dict[str, object]:
    """The one thing that the options name, as the API reads it. Raises BadParameter unless it is exactly one."""
    given: dict[str, object] = {
        name: value
        for name, value in (("identity", identity), ("policy", policy), ("connection", connection))
        if value is not None
    }
    if everything:
        given["all"] = True
    if len(given) != 1:
        raise typer.BadParameter("give one of --identity, --policy, --connection and --all")
    if identity is not None and not re.fullmatch(r"[^/\s]+/[^/\s]+", identity):
        raise typer.BadParameter("an identity is its tenant id, a slash and its object id", param_hint="--identity")
    return given


def duration(text: str | None, option: str) -> timedelta | None:
    """`90s`, `30m`, `2h` or `1d`. Raises BadParameter."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if not match:
        raise typer.BadParameter("it is a whole number with its unit, such as 90s, 30m or 2h", param_hint=option)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def moment(lasting: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """The moment after `lasting`, as the API reads it."""
    return (now() + lasting).isoformat(timespec="seconds").replace("+00:00", "Z")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal. Raises Abort for a no, and BadParameter where there is nobody to ask."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("there is no terminal to confirm this on", param_hint="--yes")
    typer.confirm(question, abort=True, err=True)
