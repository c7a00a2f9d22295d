"""One login to a PostgreSQL store: which servers, who, the secret, TLS. And the settings of its sessions.

Decides the time limits of connecting and of each statement. INVARIANT: nothing comes from the environment (PGHOST,
PGPASSWORD, a password file), and the secret is in no `repr` and no error.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from pgjit.grants.stores.database import BUSY_SECONDS

__all__ = ["PostgresLogin", "connect"]


async def _no_secret() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLogin:
    """`secret` and `tls` raise OSError. `refused`: the server did not accept the secret, so it may be outdated."""

    hosts: tuple[tuple[str, int], ...]  # tried in order; a folder (`/run/postgresql`) means its Unix socket
    database: str
    user: str
    secret: Callable[[], Awaitable[str]] = field(default=_no_secret, repr=False)
    refused: Callable[[], None] = field(default=lambda: None, repr=False)
    tls: Callable[[], ssl.SSLContext | None] = field(default=lambda: None, repr=False)
    connect_timeout: float = 5.0

    def __str__(self) -> str:
        return f"{self.database} on {', '.join(f'{host}:{port}' for host, port in self.hosts)}"


async def connect(login: PostgresLogin, *, statement_seconds: float = BUSY_SECONDS) -> asyncpg.Connection[Any]:
    """Raises OSError, or an error of asyncpg. A secret that was refused is fetched once more."""
    secret = await login.secret()
    try:
        return await _connect(login, secret, statement_seconds)
    except asyncpg.InvalidPasswordError:
        login.refused()
        again = await login.secret()
        if again == secret:
            raise
    return await _connect(login, again, statement_seconds)


async def _connect(login: PostgresLogin, secret: str, statement_seconds: float) -> asyncpg.Connection[Any]:
    try:
        async with asyncio.timeout(login.connect_timeout):
            connection: asyncpg.Connection[Any] = await asyncpg.connect(
                host=[host for host, _ in login.hosts],
                port=[port for _, port in login.hosts],
                database=login.database,
                user=login.user,
                password=secret,
                ssl=login.tls() or False,
                timeout=login.connect_timeout,
                command_timeout=statement_seconds or None,
                target_session_attrs=SessionAttribute.read_write,
                server_settings=_settings(statement_seconds),
            )
    except TimeoutError:
        raise TimeoutError(f"{login} did not answer within {login.connect_timeout:g} s") from None
    except asyncpg.TargetServerAttributeNotMatched:
        raise OSError(f"{login}: no server of it accepts writes") from None
    return connection


def _settings(statement_seconds: float) -> dict[str, str]:
    milliseconds = f"{statement_seconds * 1000:.0f}"
    return {
        "application_name": "pgjit store",
        "search_path": "public, pg_temp",
        "timezone": "UTC",
        "synchronous_commit": "on",
        "default_transaction_read_only": "off",
        "statement_timeout": milliseconds,
        "lock_timeout": f"{statement_seconds * 1000 * 0.95:.0f}",  # a statement that waits says so
        # A node that vanished or hangs in a transaction holds up the others for less than they wait.
        "idle_in_transaction_session_timeout": f"{BUSY_SECONDS * 1000 / 2:.0f}",
        "tcp_user_timeout": "30000",
    }
