"""`pgjit token`: prints one access token, for a client that sends it as the password."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from pgjit.cli.client_settings import Audience, SourceName
from pgjit.cli.status import Status
from pgjit.cli.token_source import choose_source, fetch_token

__all__ = ["token"]


def token(
    audience: Audience = None,
    source: SourceName = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document with the token, its source and its end.")
    ] = False,
) -> int:
    """Print an access token for pgjit, and nothing else.

        export PGPASSWORD=$(pgjit token)

    Without --source, the first of these variables that is set decides: PGJIT_TOKEN (variable); PGJIT_EMULATOR
    (emulator); AZURE_FEDERATED_TOKEN_FILE (workload-identity); AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH
    (service-principal); IDENTITY_ENDPOINT (managed-identity). Without any of them it is azure-cli.
    A person without the Azure CLI gives --source device-code.
    """
    fetched = fetch_token(source or choose_source(os.environ), audience)
    if sys.stdout.isatty():
        print("warning: whoever sees this token can use it; `pgjit psql` does not show it", file=sys.stderr)
    if as_json:
        ends = fetched.expires_at.isoformat() if fetched.expires_at else None
        print(json.dumps({"token": fetched.text, "source": fetched.source, "expires_at": ends}))
    else:
        print(fetched.text)
    return Status.OK
