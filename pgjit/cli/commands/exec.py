"""`pgjit exec`: runs any PostgreSQL client on a connection, with a fresh token in its environment."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pgjit.cli.client_settings import (
    Audience,
    Host,
    Policy,
    Port,
    ProxyAddress,
    Rootcert,
    SourceName,
    client_environment,
    run_client,
)
from pgjit.cli.token_source import choose_source, fetch_token
from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["run"]


def run(
    connection: Annotated[str, typer.Argument(help="The connection; clients call it the database.")],
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="The program to run, with its arguments.")
    ],
    host: Host = None,
    port: Port = 6432,
    policy: Policy = None,
    sslrootcert: Rootcert = "system",
    audience: Audience = None,
    source: SourceName = None,
) -> int:
    """Run COMMAND with libpq's variables set for CONNECTION: PGHOST, PGPORT, PGDATABASE, PGUSER, PGSSLMODE,
    PGSSLROOTCERT, and a fresh token in PGPASSWORD.

    Only that process has them. It does not have the credentials that could get more tokens. The exit code is that of
    COMMAND.

        export PGJIT_HOST=pgjit.example.com
        pgjit exec prod-replica -- pg_dump --schema-only
    """
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise WrongUsage("there is no command after `--`")
    place = ProxyAddress.of(host, port, connection, policy, sslrootcert)
    fetched = fetch_token(source or choose_source(os.environ), audience)
    return run_client(command, client_environment(place, fetched))
