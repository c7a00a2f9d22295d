"""The login to a PostgreSQL store: the secret, and what is not taken from the environment."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.postgres_login import connect
from tests.fakes.store_server import StoreServer


async def test_a_secret_that_was_changed_is_fetched_once_more(store_server: StoreServer) -> None:
    secrets = ["an old one", store_server.agent_password]
    refused: list[None] = []

    async def secret() -> str:
        return secrets[len(refused)]

    login = replace(store_server.agent_login(), secret=secret, refused=lambda: refused.append(None))
    connection = await connect(login)
    await connection.close()
    assert len(refused) == 1


async def test_a_wrong_secret_is_refused_and_shown_nowhere(store_server: StoreServer) -> None:
    async def secret() -> str:
        return "not-the-password"

    login = replace(store_server.agent_login(), secret=secret)
    with pytest.raises(ServerUnavailable) as refused:
        await PostgresDatabase(login).open()
    assert refused.value.detail == 'password authentication failed for user "pgjit_agent"'
    assert "not-the-password" not in f"{refused.value!r} {login!r} {refused.value.terminal()}"


async def test_a_secret_that_is_not_available_is_reported(store_server: StoreServer) -> None:
    async def secret() -> str:
        raise OSError("the password for the store is not available: the vault is sealed")

    with pytest.raises(ServerUnavailable, match="cannot be used") as refused:
        await PostgresDatabase(replace(store_server.agent_login(), secret=secret)).open()
    assert refused.value.detail == "the password for the store is not available: the vault is sealed"


async def test_nothing_is_taken_from_the_environment(
    store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", store_server.agent_password)
    for name, value in {"PGHOST": "x.invalid", "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGSSLMODE", "verify-full")

    async def no_secret() -> str:
        return ""

    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(replace(store_server.agent_login(), secret=no_secret))
    connection = await connect(store_server.login())
    assert await connection.fetchval("SELECT current_user") == "postgres"
    assert await connection.fetchval("SHOW search_path") == "public, pg_temp"
    await connection.close()


async def test_a_server_that_is_not_there_is_reported_with_its_address(store_server: StoreServer) -> None:
    login = replace(store_server.login(), hosts=(("/nowhere", 5432),))
    with pytest.raises(ServerUnavailable) as refused:
        await PostgresDatabase(login).open()
    assert refused.value.reference == "store-unavailable"
    assert "No such file or directory" in str(refused.value.detail)
