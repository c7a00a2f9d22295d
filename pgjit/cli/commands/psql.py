"""`pgjit psql`: runs psql on a connection, with a fresh token."""

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

__all__ = ["psql"]


def psql(
    connection: Annotated[str, typer.Argument(help="The connection; clients call it the database.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGUMENTS]...", help="Arguments for psql.")
    ] = None,
    host: Host = None,
    port: Port = 6432,
    policy: Policy = None,
    sslrootcert: Rootcert = "system",
    audience: Audience = None,
    source: SourceName = None,
    program: Annotated[str, typer.Option("--psql", envvar="PGJIT_PSQL", help="The psql to run.")] = "psql",
) -> int:
    """Run psql on CONNECTION with a fresh token.

    Options of pgjit come before CONNECTION. Everything after it is passed to psql. The exit code is psql's.

        export PGJIT_HOST=pgjit.example.com
        pgjit psql prod-replica -c 'SHOW pgjit.window'
    """
    place = ProxyAddress.of(host, port, connection, policy, sslrootcert)
    fetched = fetch_token(source or choose_source(os.environ), audience)
    return run_client([program, *(arguments or [])], client_environment(place, fetched))
