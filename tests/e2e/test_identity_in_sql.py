"""`current_setting('pgjit.identity')`: for row security and triggers, and out of the client's reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_writer, change, open_world, records
from tests.fixtures.terms import terms

READ = "SELECT current_setting('pgjit.identity')"
ATTACKS = (
    "SET pgjit.identity = 'forged'",
    "SET PgJit.Identity TO 'forged'",
    "SET LOCAL pgjit.identity = 'forged'",
    "SET \"pgjit.identity\" = 'forged'",
    "SET pgjit.identity TO DEFAULT /* forged */",
    "RESET pgjit.identity /* forged */",
    "SELECT set_config('pgjit.identity', 'forged', false)",
    "SELECT set_config('PGJIT.IDENTITY', 'forged', true)",
    "SELECT set_config('pgjit.' || 'identity', 'forged', false)",
    "SELECT set_config(name, 'forged', false) FROM (VALUES ('pgjit.identity')) AS settings (name)",
    "EXPLAIN ANALYZE SELECT set_config('pgjit.identity', 'forged', false)",
    "UPDATE pg_settings SET setting = 'forged' WHERE name = 'pgjit.identity'",
    "SELECT query_to_xml('SET pgjit.identity = ''forged''', true, true, '')",
    "DO $$ BEGIN PERFORM set_config('pgjit.identity', 'forged', false); END $$",
    "CREATE FUNCTION forged() RETURNS text LANGUAGE sql SET pgjit.identity = 'forged' RETURN 1",
    "CREATE FUNCTION pg_temp.forged() RETURNS text LANGUAGE sql RETURN set_config('pgjit.identity', 'forged', false)",
    "ALTER ROLE CURRENT_USER SET pgjit.identity = 'forged'",
    "ALTER DATABASE shop SET pgjit.identity = 'forged'",
    "ALTER SYSTEM SET pgjit.identity = 'forged'",
    "SELECT 1; SET pgjit.identity = 'forged'",
    "PREPARE forged AS SELECT set_config('pgjit.identity', 'forged', false)",
)
KEEPS = ("RESET ALL", "DISCARD ALL", "DISCARD PLANS")
ROW_SECURITY = """
    CREATE TABLE own_rows (owner text NOT NULL DEFAULT current_setting('pgjit.identity'), note text);
    ALTER TABLE own_rows ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON own_rows USING (owner = current_setting('pgjit.identity', true))
        WITH CHECK (owner = current_setting('pgjit.identity', true));
    GRANT SELECT, INSERT ON own_rows TO pgjit_writer;
"""


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    """The writer's policy opens every setting that a policy can open, with all kinds of statements."""
    async with open_world(database, tmp_path) as served:
        policies = served.app._config.policies
        entries = ["app.*", "pgjit.*", "pgjit.identity", "*.*", "*"]
        opened = terms(access="read-write", allow=[{"settings": entries}, {"function": "set_config"}])
        policies["writer"] = replace(policies["writer"], statements=opened)
        yield served


@pytest.fixture
async def server_log(database: DemoDatabase) -> AsyncIterator[Path]:
    """The server's own log, with each statement that it was sent."""
    await change(database, "ALTER SYSTEM SET log_statement = 'all'")
    await change(database, "SELECT pg_reload_conf()")
    # ALTER ROLE and ALTER DATABASE of an administrator come after the startup packet.
    await change(database, "ALTER ROLE pgjit_writer SET pgjit.identity = 'of the role'")
    yield database.log
    await change(database, "ALTER ROLE pgjit_writer RESET pgjit.identity")
    await change(database, "ALTER SYSTEM RESET log_statement")
    await change(database, "SELECT pg_reload_conf()")


async def test_no_session_changes_its_identity_whatever_its_policy_opens(world: World, server_log: Path) -> None:
    agent = add_writer(world)
    identity = f"{world.emulator.tenant}/{agent.oid}"
    async with await connect_psycopg(
        world, await world.token(agent), "writer", "write-target", options="-c app.tenant=a"
    ) as connection:
        for attack in ATTACKS:
            with pytest.raises(psycopg.Error) as refused:
                await connection.execute(attack.encode())
            assert refused.value.sqlstate == "42501", (attack, refused.value)
            assert await (await connection.execute(READ.encode())).fetchone() == (identity,), attack
        for name in ("pgjit.identity", "PGJIT.identity"):
            with pytest.raises(psycopg.Error):
                await connection.execute(b"SELECT set_config(%s, 'forged', false)", (name,))
        await connection.execute(b"SET app.tenant = 'b'")  # what the policy opens is open
        for statement in KEEPS:
            await connection.execute(statement.encode())
            assert await (await connection.execute(READ.encode())).fetchone() == (identity,), statement
    assert "forged" not in server_log.read_text(), "a refused statement reached the server"
    denied = [r for r in records(world, "execution") if r["decision"] == "deny"]
    assert len(denied) >= len(ATTACKS)


@pytest.mark.parametrize(
    "options", ["-c pgjit.identity=forged", "--pgjit.identity=forged", "-c PGJIT.Identity=forged"]
)
async def test_no_startup_option_changes_it(world: World, options: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"startup parameter `pgjit\.identity` is not accepted"):
        await connect_psycopg(world, await world.token(add_writer(world)), "writer", "write-target", options=options)
    assert not records(world, "window.opened")


async def test_row_security_shows_each_identity_its_own_rows(world: World) -> None:
    await change(world.database, ROW_SECURITY)
    try:
        for agent in (add_writer(world), add_writer(world)):
            token = await world.token(agent)
            async with await connect_psycopg(world, token, "writer", "write-target") as connection:
                await connection.execute(b"INSERT INTO own_rows (note) VALUES ('mine')")
                rows = await (await connection.execute(b"SELECT owner, note FROM own_rows")).fetchall()
                assert rows == [(f"{world.emulator.tenant}/{agent.oid}", "mine")]
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                    await connection.execute(b"INSERT INTO own_rows (owner) VALUES ('another')")
    finally:
        await change(world.database, "DROP TABLE own_rows")
