"""The schema in PostgreSQL: what the upgrade makes, what it refuses by itself, and what a node refuses to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.postgres_upgrade import check_store
from pgjit.grants.stores.schema import metadata
from tests.contracts.store import ALICE, HOUR, NOW, POLICY
from tests.fakes.store_server import StoreServer

_SECOND_CURRENT = """
INSERT INTO windows (id, tid, oid, policy, connection, opened_at, ends_at, retry_at, current)
SELECT 'w_' || number, tid, oid, policy, connection, 1, 2, 3, 1 FROM windows, generate_series(2, 3) number
"""


async def test_the_migrations_make_the_schema_of_the_metadata(store_server: StoreServer) -> None:
    def differences(connection: sa.Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    store = store_server.store()
    await store.open()
    found = await store._transaction(differences)
    await store.close()
    assert found == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE windows SET ends_at = ends_at + 1", "a granted window does not change"),
        ("UPDATE windows SET retry_at = retry_at + 1", "a granted window does not change"),
        ("UPDATE windows SET oid = 'someone-else'", "a granted window does not change"),
        ("UPDATE windows SET request_id = 'r_1'", "a granted window does not change"),
        ("UPDATE windows SET ended_at = NULL, end_reason = NULL", "a granted window does not change"),
        ("UPDATE usage SET rows = 1", "what was used of a window only grows"),
        (_SECOND_CURRENT, "duplicate key"),
    ],
)
async def test_the_database_itself_refuses(store_server: StoreServer, change: str, message: str) -> None:
    store = store_server.store()
    await store.open()
    window, _ = await store.admit(ALICE, POLICY, NOW)
    await store.end(window.id, NOW + HOUR, "ttl")
    await store.close()
    store_server.execute(f"INSERT INTO usage VALUES ('{window.id}', 5, 5, 5)")
    with pytest.raises(psycopg.Error, match=message):
        store_server.execute(change)


async def _refusal(work: Callable[[], object]) -> ServerUnavailable:
    with pytest.raises(ServerUnavailable) as refused:
        await work()  # type: ignore[misc]
    return refused.value


@pytest.fixture
def versions(store_server: StoreServer) -> Iterator[Callable[[str], None]]:
    def set_version(version: str) -> None:
        store_server.execute(f"UPDATE alembic_version SET version_num = '{version}'")

    yield set_version
    set_version("v3")


@pytest.mark.parametrize(
    ("version", "detail"),
    [
        ("0003", "has schema version 0003, from before the first release; this pgjit reads v3."),
        ("v9", "has schema version v9, which this pgjit does not know; it reads v3."),
    ],
)
async def test_a_store_of_another_version_is_refused(
    store_server: StoreServer, versions: Callable[[str], None], version: str, detail: str
) -> None:
    versions(version)
    for use in (PostgresDatabase(store_server.login()).open, lambda: check_store(store_server.login())):
        fault = await _refusal(use)
        assert fault.reference == "store-version-unknown"
        assert fault.detail == f"{store_server.login()} {detail}"


async def test_a_database_without_a_schema_is_refused_and_the_command_is_named(store_server: StoreServer) -> None:
    fault = await _refusal(PostgresDatabase(store_server.login("postgres")).open)
    assert fault.reference == "store-not-upgraded"
    assert fault.detail == f"{store_server.login('postgres')} has no schema yet; this pgjit needs version v3."
    assert fault.hint == "Run: pgjit store upgrade --config pgjit.yaml"


async def test_the_rights_that_a_role_lacks_are_named(store_server: StoreServer) -> None:
    fault = await _refusal(lambda: check_store(store_server.agent_login()))
    assert fault.reference == "store-rights"
    assert "SELECT on alembic_version" in str(fault.detail)
    assert "SELECT, INSERT, UPDATE, DELETE on windows" in str(fault.detail)
    store_server.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO pgjit_agent")
    store_server.execute("REVOKE INSERT, DELETE ON locks FROM pgjit_agent")
    try:
        fault = await _refusal(PostgresDatabase(store_server.agent_login()).open)
        lacking = str(fault.detail).rpartition(": ")[2].split("; ")
        assert lacking[0] == "INSERT, DELETE on locks"
        assert "USAGE on sequence journal_outbox_id_seq" in lacking[1:]
        store_server.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO pgjit_agent")
        store_server.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO pgjit_agent")
        assert (await check_store(store_server.agent_login())).schema == "v3"
    finally:
        store_server.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM pgjit_agent")
        store_server.execute("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM pgjit_agent")
