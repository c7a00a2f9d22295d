"""What a client command is told, and the environment that a client of PostgreSQL is given.

Decides which options those commands share, with their variables, and that nothing of the caller's own libpq settings
leads the token elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from pgjit.cli.token_source import Token, TokenOrigin, is_credential

__all__ = [
    "Audience",
    "Host",
    "Policy",
    "Port",
    "ProxyAddress",
    "Rootcert",
    "SourceName",
    "client_environment",
    "run_client",
]  # fmt: skip

Host = Annotated[
    str | None,
    typer.Option(
        envvar="PGJIT_HOST",
        help="Where pgjit is, by the name in its certificate. Required, unless PGJIT_HOST is set.",
    ),
]
Port = Annotated[int, typer.Option(envvar="PGJIT_PORT", min=1, max=65535, help="Its port; or PGJIT_PORT.")]
Policy = Annotated[
    str | None,
    typer.Option(envvar="PGJIT_POLICY", help="The policy; not needed where only one is yours. Or PGJIT_POLICY."),
]
Rootcert = Annotated[
    str,
    typer.Option(
        envvar="PGJIT_SSLROOTCERT",
        help="File with the CA of pgjit's certificate; `system`: this system's. Or PGJIT_SSLROOTCERT.",
    ),
]
Audience = Annotated[
    str | None, typer.Option(envvar="PGJIT_AUDIENCE", help="Client id or URI of pgjit's API registration.")
]
SourceName = Annotated[
    TokenOrigin | None,
    typer.Option(
        "--source", envvar="PGJIT_TOKEN_SOURCE", help="Where the token comes from; without: by what is set."
    ),
]

# What a client may bring along: none of these says where to, as whom, or how well protected.
_KEPT: Final = frozenset({
    "PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGOPTIONS", "PGTZ",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    host: str
    port: int
    connection: str
    policy: str | None
    sslrootcert: str

    @classmethod
    def of(cls, host: str | None, port: int, connection: str, policy: str | None, sslrootcert: str) -> ProxyAddress:
        """Raises BadParameter where nobody has said which host."""
        if not host:
            raise typer.BadParameter("say where pgjit is: give --host, or set PGJIT_HOST")
        return cls(host, port, connection, policy, sslrootcert)


def client_environment(place: ProxyAddress, token: Token, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For one process: libpq's variables, and the rest of `given` as it is.

    A service file or an address of the caller's would win over the host: no other variable of libpq's is passed on.
    Nor is anything that more tokens could be had with: the client is given one, and not its source.
    """
    kept = {
        name: value
        for name, value in given.items()
        if name in _KEPT or not ((name.startswith("PG") and name.isalpha()) or is_credential(name))
    }
    return {
        **kept,
        "PGHOST": place.host,
        "PGPORT": str(place.port),
        "PGDATABASE": place.connection,
        "PGUSER": place.policy or "pgjit",
        "PGPASSWORD": token.text,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": place.sslrootcert,
    }


def run_client(command: Sequence[str], environment: dict[str, str]) -> int:
    """Become `command` where the system can do that: its signals and its exit code are its own then."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the caller's own command, without a shell
    return subprocess.run(list(command), env=environment, check=False).returncode  # noqa: S603 - the same
