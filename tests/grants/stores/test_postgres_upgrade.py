"""`pgjit store upgrade` on PostgreSQL: whole or not at all, once, and one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores import schema_versions
from pgjit.grants.stores.postgres_login import PostgresLogin
from pgjit.grants.stores.postgres_upgrade import check_store, upgrade_store
from tests.fakes.store_server import StoreServer

_NAME = "pgjit_upgrade"


@pytest.fixture
def empty(store_server: StoreServer) -> Iterator[PostgresLogin]:
    """A database that holds nothing."""
    store_server.execute(f"CREATE DATABASE {_NAME}", "postgres")
    yield store_server.login(_NAME)
    store_server.execute(f"DROP DATABASE {_NAME} WITH (FORCE)", "postgres")


def _not_waiting() -> None:
    raise AssertionError("nobody else upgrades")


async def test_an_upgrade_makes_the_schema_and_the_next_one_makes_nothing(empty: PostgresLogin) -> None:
    first = await upgrade_store(empty, _not_waiting)
    assert (first.made, first.schema, first.name) == (("v1", "v2", "v3"), "v3", str(empty))
    assert (await upgrade_store(empty, _not_waiting)).made == ()
    assert (await check_store(empty)).schema == "v3"


async def test_of_upgrades_at_once_one_works(empty: PostgresLogin) -> None:
    states = await asyncio.gather(*(upgrade_store(empty, lambda: None) for _ in range(3)))
    assert sorted(state.made for state in states) == [(), (), ("v1", "v2", "v3")]


async def test_who_waits_for_another_upgrade_is_told(empty: PostgresLogin, store_server: StoreServer) -> None:
    waits = asyncio.Event()
    async with store_server.upgrade_lock(_NAME):
        upgrade = asyncio.create_task(upgrade_store(empty, waits.set))
        await asyncio.wait_for(waits.wait(), 30)
        assert not upgrade.done()
    assert (await upgrade).made == ("v1", "v2", "v3")


async def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    empty: PostgresLogin, store_server: StoreServer
) -> None:
    store_server.execute("CREATE TABLE journal_outbox (a int)", _NAME)  # the last table that the schema makes
    with pytest.raises(ServerUnavailable) as refused:
        await upgrade_store(empty, _not_waiting)
    assert refused.value.detail == 'relation "journal_outbox" already exists'
    tables = store_server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", _NAME)
    assert tables == [("journal_outbox",)]


async def test_who_only_creates_does_not_touch_a_schema_that_is_there(
    empty: PostgresLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await upgrade_store(empty, _not_waiting, only_create=True)).made == ("v1", "v2", "v3")
    assert (await upgrade_store(empty, _not_waiting, only_create=True)).made == ()
    monkeypatch.setattr(schema_versions, "VERSIONS", ("v1", "v2", "v3", "v4"))
    with pytest.raises(ServerUnavailable) as refused:
        await upgrade_store(empty, _not_waiting, only_create=True)
    assert refused.value.reference == "store-not-upgraded"
    assert refused.value.detail == f"{empty} has schema version v3; this pgjit needs version v4."
