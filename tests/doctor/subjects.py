"""Subjects for the tests of the doctor's checks: a role with nothing to say against it, and changes of it."""

from __future__ import annotations

from typing import Any

from pgjit.doctor.subject import LoginRole, Subject

__all__ = ["GOOD", "good"]

GOOD = LoginRole(
    oid=20000,
    name="agent",
    superuser=False,
    createrole=False,
    createdb=False,
    replication=False,
    bypassrls=False,
    connection_limit=50,
    days_valid=None,
    database="shop",
    heir="postgres",
    version=180000,
)


def good(**changes: Any) -> Subject:
    """The good subject, with some fields of its login changed."""
    return Subject(connection="prod-replica", login=GOOD._replace(**changes))
