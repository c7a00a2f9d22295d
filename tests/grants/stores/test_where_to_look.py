"""The hint for operators names what failed: the login, TLS, the database, the rights, or all of it."""

from __future__ import annotations

import ssl
from dataclasses import replace

import asyncpg
import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.postgres_login import PostgresLogin
from pgjit.grants.stores.postgres_upgrade import check_store, upgrade_store
from pgjit.grants.stores.where_to_look import look_at_server
from tests.fakes.store_server import StoreServer


async def hint(login: PostgresLogin, *, upgrade: bool = False) -> str:
    with pytest.raises(ServerUnavailable) as refused:
        await (upgrade_store(login, lambda: None) if upgrade else check_store(login))
    assert refused.value.hint is not None
    return refused.value.hint


async def test_what_a_server_refuses_leads_to_its_cause(store_server: StoreServer) -> None:
    login = store_server.login()
    assert "pg_hba.conf" in await hint(replace(store_server.agent_login(), secret=login.secret))
    assert "CREATE DATABASE" in await hint(store_server.login("no_such_database"))
    assert "owner of the database" in await hint(
        replace(store_server.agent_login(), database="postgres"), upgrade=True
    )
    nowhere = await hint(replace(login, hosts=(("/nowhere", 5432),)))
    for words in ("host and port", "role", "pg_hba.conf", "TLS"):
        assert words in nowhere


async def test_a_start_gives_the_same_hint(store_server: StoreServer) -> None:
    with pytest.raises(ServerUnavailable) as refused:
        await PostgresDatabase(store_server.login("no_such_database")).open()
    assert "CREATE DATABASE" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLCertVerificationError("unable to get local issuer certificate"), "Check TLS"),
        (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), "Check TLS"),
        (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for host"), "pg_hba.conf"),
        (ConnectionRefusedError("connection refused"), "host and port"),
        (TimeoutError("db did not answer within 5 s"), "host and port"),
    ],
)
def test_other_causes(error: Exception, words: str) -> None:
    assert words in look_at_server(error)
