"""The options that `pgjit psql`, `pgjit exec` and `pgjit token` share, and the environment of the client they start.

Decides which of the caller's variables the client keeps. INVARIANT: no libpq setting of the caller's can send the
token to another host.
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
from pgjit.cli.wrong_usage import WrongUsage

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
        help="The proxy's host, as its certificate names it.",
    ),
]
Port = Annotated[int, typer.Option(envvar="PGJIT_PORT", min=1, max=65535, help="The proxy's port.")]
Policy = Annotated[
    str | None,
    typer.Option(envvar="PGJIT_POLICY", help="The policy. Not needed if only one fits you."),
]
Rootcert = Annotated[
    str,
    typer.Option(
        envvar="PGJIT_SSLROOTCERT",
        help="File with the CA of the proxy's certificate, or `system` for this system's CAs.",
    ),
]
Audience = Annotated[
    str | None, typer.Option(envvar="PGJIT_AUDIENCE", help="Client id or URI of the proxy's API registration.")
]
SourceName = Annotated[
    TokenOrigin | None,
    typer.Option(
        "--source",
        metavar="SOURCE",
        envvar="PGJIT_TOKEN_SOURCE",
        help="Where the token comes from. By default the environment decides (`pgjit token --help`).",
    ),
]

# The libpq variables that a client keeps. None of them selects the host, the user or the protection of the link.
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
        """Raises BadParameter where no host is set."""
        if not host:
            raise WrongUsage("the proxy's host is missing: give --host, or set PGJIT_HOST")
        return cls(host, port, connection, policy, sslrootcert)


def client_environment(
    place: ProxyAddress, token: Token, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of one client: libpq's variables for `place`, and the rest of `inherited` unchanged.

    Other libpq variables are removed: a service file or an address of the caller's would win over the host. So is
    every credential that could get more tokens: the client receives one token, and not its source.
    """
    kept = {
        name: value
        for name, value in inherited.items()
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
    """Replace this process by `command` where the system can, so that signals and the exit code are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the caller's own command, without a shell
    return subprocess.run(list(command), env=environment, check=False).returncode  # noqa: S603 - the same
