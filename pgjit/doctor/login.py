"""The doctor's login to a server, as sessions log in: for some seconds, and with one error for all that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgjit.doctor.checks.session import NAME
from pgjit.errors import ServerUnavailable
from pgjit.server.dial import resolve
from pgjit.server.link_waits import LinkClosed
from pgjit.server.login_error import LoginFailed
from pgjit.server.simple_query import QueryFailed
from pgjit.server.target import Target
from pgjit.server.upstream import Upstream, connect_upstream
from pgwire.errors import RemoteProtocolError

__all__ = ["logged_in"]

# ValueError: an answer that has not the form of what was queried.
_FAULTS = (OSError, TimeoutError, LinkClosed, QueryFailed, RemoteProtocolError, ValueError)

_SETTINGS = {
    "application_name": NAME,
    "client_encoding": "UTF8",
    "default_transaction_read_only": "on",
    "lock_timeout": "5000",
    "role": "none",  # ALTER ROLE ... SET role would otherwise read the catalogs as another role
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    "statement_timeout": "20000",
}


@asynccontextmanager
async def logged_in(target: Target, failing: str, seconds: float) -> AsyncIterator[Upstream]:
    """Log in, and leave at the end. Raises ServerUnavailable with the message `failing`, also for faults inside."""
    try:
        async with asyncio.timeout(seconds):
            upstream = await _log_in(target)
            try:
                yield upstream
            finally:
                await upstream.leave()
    except _FAULTS as fault:
        raise ServerUnavailable(
            failing,
            reference="server-unavailable",
            detail=str(fault) or f"{type(fault).__name__}, within {seconds:g} s",
            hint="`pgjit doctor` logs in as sessions do, with the credential of the connection.",
        ) from None


async def _log_in(target: Target) -> Upstream:
    """Log in at the first server that accepts, primary or standby: roles and rights are the same on both.

    Uses no control connection, so that it also works for a login that cannot be used for sessions.
    """
    failures: list[LoginFailed] = []
    for host in target.hosts:
        try:
            for address in await resolve(host):
                try:
                    return await connect_upstream(target, address, _SETTINGS)
                except LoginFailed as failed:
                    failures.append(failed)
        except LoginFailed as failed:
            failures.append(failed)
    raise OSError("; ".join(str(failed) for failed in failures))
