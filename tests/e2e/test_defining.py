"""Policies that allow some DDL and a procedure, with a real server: what they name runs, nothing beside it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_member, ask, change, open_world, records

BUILDERS = "66666666-6666-4666-8666-666666666666"
POLICY = f"""\
policy: builder
connection: write-target
group: {BUILDERS}
grant: on-request
ttl: 5m
record: true
statements:
  access: read-write
  allow:
    - kinds: [select]
      relations: ["public.*", "staging.*", "!public.payments", "!staging.wages"]
    - kinds: [insert, update, delete]
      relations: ["staging.*"]
    - kinds: [ddl-table, ddl-view, ddl-materialized-view, ddl-index, ddl-sequence, truncate, comment, analyze,
        refresh-materialized-view, lock]
      relations: ["staging.*"]
    - kinds: [call]
      functions: [staging.refill]
"""
SETUP = """
    CREATE SCHEMA staging AUTHORIZATION pgjit_writer;
    SET ROLE pgjit_writer;
    CREATE TABLE staging.load (id serial PRIMARY KEY, name text);
    INSERT INTO staging.load (name) VALUES ('one'), ('two');
    CREATE VIEW staging.behind AS SELECT id, note FROM public.notes;
    CREATE TABLE staging.line (id int);
    CREATE TABLE staging.wages (wage text UNIQUE);
    INSERT INTO staging.wages VALUES ('a great deal');
    CREATE PROCEDURE staging.refill(many int) LANGUAGE sql
        AS 'INSERT INTO staging.load (name) SELECT ''more'' FROM generate_series(1, many)';
    CREATE PROCEDURE staging.other() LANGUAGE sql AS 'DELETE FROM staging.load';
    RESET ROLE;
    CREATE FUNCTION public.told(staging.line) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1;
"""
RUNS = (
    "CREATE TABLE staging.fresh (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), n int CHECK (n > 0))",
    "CREATE TABLE staging.copied AS SELECT id, city FROM customers",
    "CREATE UNIQUE INDEX by_name ON staging.load (lower(name), id)",
    "ALTER TABLE staging.load ADD COLUMN seen boolean NOT NULL DEFAULT false, ALTER name SET NOT NULL",
    "CREATE VIEW staging.cities AS SELECT city, count(*) FROM customers GROUP BY city",
    "CREATE VIEW staging.some_notes AS SELECT id, note FROM notes OFFSET 0",
    "CREATE VIEW staging.names AS SELECT id, name FROM staging.load WHERE id > 0",
    "CREATE MATERIALIZED VIEW staging.kept AS SELECT id FROM orders",
    "REFRESH MATERIALIZED VIEW staging.kept",
    "COMMENT ON TABLE staging.load IS 'what is loaded'",
    "CREATE SEQUENCE staging.counter INCREMENT BY 5",
    "ALTER INDEX staging.by_name RENAME TO by_title",
    "ANALYZE staging.load",
    "BEGIN",
    "LOCK TABLE staging.load IN SHARE MODE",
    "COMMIT",
    "DROP INDEX staging.by_title",
    "DROP VIEW staging.cities",
    "DROP VIEW staging.names",
    "DROP VIEW staging.some_notes",
    "DROP TABLE staging.copied",
    "CALL staging.refill(3)",
    "TRUNCATE staging.load RESTART IDENTITY",
    "ALTER TABLE staging.load RENAME COLUMN name TO title",
)
REFUSED = {
    "CREATE TABLE public.x (a int)": "unlisted-relation",
    "CREATE TABLE x (a int)": "unlisted-relation",
    "CREATE TEMP TABLE customers (a int)": "ddl-clause",
    "CREATE TABLE staging.x AS SELECT * FROM payments": "unlisted-relation",
    "CREATE VIEW staging.x AS SELECT amount FROM payments": "unlisted-relation",
    "CREATE TABLE staging.x (LIKE payments)": "unlisted-relation",
    "CREATE TABLE staging.x (note text REFERENCES notes (note))": "unlisted-relation",
    "ALTER TABLE notes ADD COLUMN x int": "unlisted-relation",
    "CREATE INDEX ON staging.wages ((wage::int))": "unlisted-relation",  # the error would quote a value
    "CREATE TABLE staging.x (wage text REFERENCES staging.wages (wage))": "unlisted-relation",  # tells what is there
    "CREATE VIEW staging.x AS SELECT id, note FROM notes": "unlisted-relation",  # to write through it
    "CREATE VIEW staging.x AS SELECT name, setting FROM pg_settings": "catalog-write",
    "LOCK TABLE staging.behind": "unlisted-relation",
    "SELECT id FROM staging.behind FOR UPDATE": "unlisted-relation",
    "SELECT id FROM notes FOR UPDATE": "unlisted-relation",
    "CREATE INDEX ON staging.line ((line.told))": "function-call",
    "ALTER TABLE staging.line ADD CHECK (line.told = 2)": "function-call",
    "ALTER INDEX staging.load RENAME TO loaded": "ddl-clause",
    "ALTER TABLE staging.behind RENAME TO before": "ddl-clause",
    "ALTER TABLE staging.load SET SCHEMA public": "unknown-node",
    "ALTER TABLE staging.load OWNER TO postgres": "ddl-clause",
    "ALTER TABLE staging.load INHERIT public.notes": "ddl-clause",
    "DROP TABLE staging.load CASCADE": "ddl-clause",
    "DROP TABLE staging.load, public.notes": "unlisted-relation",
    "DROP SCHEMA staging": "ddl",
    "TRUNCATE notes": "unlisted-relation",
    "INSERT INTO notes (note) VALUES ('x')": "unlisted-relation",
    "UPDATE staging.behind SET note = 'through a view' WHERE id = 1": "unlisted-relation",
    "DELETE FROM staging.behind WHERE id = 1": "unlisted-relation",
    "CREATE FUNCTION staging.f() RETURNS int LANGUAGE sql RETURN 1": "ddl",
    "CREATE TRIGGER t AFTER INSERT ON staging.load EXECUTE FUNCTION tsvector_update_trigger()": "ddl",
    "CREATE RULE r AS ON SELECT TO staging.load DO INSTEAD SELECT 1": "ddl",
    "GRANT ALL ON staging.load TO PUBLIC": "ddl",
    "CALL staging.other()": "function-call",
    "DO 'BEGIN DELETE FROM staging.load; END'": "procedural-code",
    "EXPLAIN ANALYZE CREATE TABLE staging.x AS SELECT 1 AS a": "ddl",
    "WITH x AS (SELECT 1) SELECT * INTO staging.x FROM x": "select-into",
}
FINGERPRINT = """
    SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
        SELECT concat_ws(' ', c.oid::regclass, c.relkind, c.relowner, a.attname, a.atttypid, c.relacl) AS line
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace IN ('public'::regnamespace, 'staging'::regnamespace)
        UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'staging'::regnamespace
        UNION ALL SELECT 'load ' || id || name FROM staging.load
        UNION ALL SELECT 'notes ' || id || note FROM notes
    ) lines
"""


@pytest.fixture
async def building(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "builder.yaml").write_text(POLICY)
    await change(database, SETUP)
    try:
        async with open_world(database, tmp_path, policies=policies) as world:
            yield world
    finally:
        await change(database, "DROP SCHEMA staging CASCADE")


async def test_what_a_policy_names_of_ddl_runs_and_is_on_record(building: World) -> None:
    token = await building.token(add_member(building, BUILDERS))
    async with await connect_psycopg(building, token, "builder", "write-target") as connection:
        for sql in RUNS:
            await connection.execute(sql.encode())
    made = (
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'staging'::regnamespace"
    )
    kinds = " AND relkind IN ('r', 'v', 'm')"
    assert await ask(building.database, made + kinds) == "behind fresh kept line load wages"
    assert await ask(building.database, "SELECT count(*) FROM staging.load") == 0
    executions = records(building, "execution")
    assert [r["statement"] for r in executions] == list(RUNS)
    assert {r["decision"] for r in executions} == {"allow"}
    assert [r["ended"] for r in records(building, "outcome")] == ["completed"] * len(RUNS)


async def test_nothing_beside_what_a_policy_names_of_ddl_runs(building: World) -> None:
    token = await building.token(add_member(building, BUILDERS))
    before = await ask(building.database, FINGERPRINT)
    async with await connect_psycopg(building, token, "builder", "write-target") as connection:
        for sql in REFUSED:
            with pytest.raises(psycopg.Error) as refused:
                await connection.execute(sql.encode())
            assert refused.value.sqlstate == "42501", (sql, str(refused.value))
            assert await ask(building.database, FINGERPRINT) == before, sql
    rules = {r["statement"]: r["violations"] for r in records(building, "execution")}
    for sql, rule in REFUSED.items():
        assert rule in str(rules[sql]), sql


async def test_a_table_is_not_replaced_by_a_view_to_write_through_before_that_is_known(building: World) -> None:
    token = await building.token(add_member(building, BUILDERS))
    before = await ask(building.database, FINGERPRINT)
    async with await connect_psycopg(building, token, "builder", "write-target") as connection:
        for query in ("SELECT id, note AS name FROM notes", "SELECT 1 AS id, setting AS name FROM pg_settings"):
            replaced = f"DROP TABLE staging.load; CREATE VIEW staging.load AS {query};"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(f"{replaced} UPDATE staging.load SET name = 'x' WHERE id = 1".encode())
            assert await ask(building.database, FINGERPRINT) == before
        await connection.execute("BEGIN")
        await connection.execute("DROP TABLE staging.load")
        await connection.execute("CREATE VIEW staging.load AS SELECT id, note AS name FROM notes OFFSET 0")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot update view"):
            await connection.execute("UPDATE staging.load SET name = 'x' WHERE id = 1")
        await connection.execute("ROLLBACK")
    assert await ask(building.database, FINGERPRINT) == before


async def test_a_table_that_hides_another_is_neither_made_nor_dropped(database: DemoDatabase, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "builder.yaml").write_text(POLICY)
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    login = {"user": database.writer, "password": {"file": str(tmp_path / "writer-secret")}}
    path = {"connections": {"write-target": {**place, **login, "search_path": "staging, public"}}}
    await change(database, SETUP + "CREATE TABLE staging.payments (mine text)")
    await change(database, "ALTER TABLE staging.payments OWNER TO pgjit_writer")
    try:
        async with open_world(database, tmp_path, policies=policies, config=path) as world:
            token = await world.token(add_member(world, BUILDERS))
            async with await connect_psycopg(world, token, "builder", "write-target") as connection:
                for sql in (
                    "DROP TABLE staging.payments; SELECT * FROM payments",
                    "ALTER TABLE payments RENAME TO paid",
                    "CREATE VIEW staging.customers AS SELECT 1 AS id",
                ):
                    with pytest.raises(psycopg.Error, match=r"hides `public\."):
                        await connection.execute(sql.encode())
                assert await (await connection.execute("SELECT * FROM payments")).fetchall() == []
    finally:
        await change(database, "DROP SCHEMA staging CASCADE")


async def test_what_a_session_has_changed_is_known_to_it_at_once(building: World) -> None:
    """Also where no name is new: a table that became a view is read by the rules for what that reads."""
    token = await building.token(add_member(building, BUILDERS))
    async with await connect_psycopg(building, token, "builder", "write-target") as connection:
        await connection.execute("SELECT id FROM staging.load")
        async with connection.transaction():
            await connection.execute("DROP TABLE staging.load")
            await connection.execute("CREATE TABLE staging.load (other int)")
        with pytest.raises(psycopg.errors.UndefinedColumn, match="does not exist"):
            await connection.execute("SELECT id FROM staging.load")
        assert await (await connection.execute("SELECT count(other) FROM staging.load")).fetchone() == (0,)
