"""Where the database is, from libpq's variables, in the forms that tools take. Part of the programs beside it."""

from __future__ import annotations

import os
from urllib.parse import quote, urlencode

HOST, PORT, DATABASE = os.environ["PGHOST"], int(os.environ["PGPORT"]), os.environ["PGDATABASE"]
USER, PASSWORD = os.environ["PGUSER"], os.environ["PGPASSWORD"]
SSLMODE, ROOT = os.environ["PGSSLMODE"], os.environ.get("PGSSLROOTCERT", "")


def url(scheme: str = "postgresql", **more: str) -> str:
    given = {"sslmode": SSLMODE, **({"sslrootcert": ROOT} if ROOT else {}), **more}
    return f"{scheme}://{quote(USER)}:{quote(PASSWORD)}@{HOST}:{PORT}/{DATABASE}?{urlencode(given)}"


def native() -> str:
    """For clients in Rust, which know no `verify-full`: with a CA they verify it under `require`."""
    return url().replace("sslmode=verify-full", "sslmode=require")


def attempt(name: str, call: object, *arguments: object, **named: object) -> None:
    """Print what a call gives, or that it failed: both are compared."""
    try:
        print(name, "->", call(*arguments, **named))  # type: ignore[operator]
    except Exception as fault:  # noqa: BLE001 - whatever a tool raises is what it says
        print(name, "failed:", type(fault).__name__, str(fault).split("\n")[0][:200])
