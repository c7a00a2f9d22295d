"""Whatever is sent under a policy that reads: nothing is stored, set, locked or ended by it.

The login role is a superuser, so that pgjit alone holds. Statements come from a grammar, and from the server's own
list of functions. The cheapest sign of a write is asked for after each: whoever writes takes a transaction id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pgjit.demo.database import DemoDatabase
from pgjit.policy.session_settings import CAPPED, FREE, TIMEOUTS
from tests.e2e.loose import Line, open_loose, refusal, untouched
from tests.e2e.worlds import add_reader

# What another session sees at once: ids taken, sequences, locks that outlive a transaction, who is connected.
SIGNS = """
SELECT concat_ws(' ', pg_snapshot_xmax(pg_current_snapshot()), (SELECT last_value FROM s.seq),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_replication_slots), pg_conf_load_time())
"""
# The settings that a policy that reads lets a session choose. All other state of the session stays as it was.
CHOSEN = sorted(FREE | CAPPED.keys() | TIMEOUTS)
MINE = f"""
SELECT md5(string_agg(concat(name, '=', setting), ',' ORDER BY name)) || concat(current_user, session_user,
    current_setting('app.tenant', true))
FROM pg_catalog.pg_settings WHERE lower(name) NOT IN ({", ".join(f"'{name}'" for name in CHOSEN)})
"""

READS = [
    "SELECT * FROM s.users", "SELECT id, name FROM s.plain_view", "TABLE s.orders", "VALUES (1, 'x')",
    "SELECT count(*) FROM s.users u JOIN s.orders o ON o.user_id = u.id", "SELECT 1", "SELECT NULL::int",
]  # fmt: skip
WRITES = [
    "INSERT INTO s.audit(m) VALUES ('x') RETURNING m", "UPDATE s.users SET name = 'x' RETURNING id",
    "DELETE FROM s.orders RETURNING id",
    "MERGE INTO s.users u USING s.orders o ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
    "SELECT 1 AS a INTO s.made", "SELECT * FROM s.users FOR UPDATE", "CREATE TABLE s.made AS SELECT 1 AS a",
    "UPDATE s.plain_view SET name = 'x'", "SELECT 1 AS a INTO TEMP made",
]  # fmt: skip
OTHERS = [
    "TRUNCATE s.orders", "CREATE TEMP TABLE made (a int)", "DROP TABLE s.audit", "ALTER SYSTEM SET work_mem = '5MB'",
    "DO $$BEGIN INSERT INTO s.audit(m) VALUES('do'); END$$", "CALL s.proc()", "CALL s.proc_rw()", "VACUUM s.users",
    "REFRESH MATERIALIZED VIEW s.mv", "LOCK TABLE s.users", "LISTEN x", "NOTIFY x", "CHECKPOINT", "LOAD 'plpgsql'",
    "COPY s.audit(m) FROM STDIN", "COPY s.users TO '/tmp/pgjit-made'", "COPY s.users TO PROGRAM 'true'",
    "COPY (SELECT 1) TO STDOUT", "COPY s.users TO STDOUT", "REINDEX TABLE s.users", "ANALYZE s.users",
    "PREPARE TRANSACTION 'x'", "GRANT ALL ON s.users TO PUBLIC", "COMMENT ON TABLE s.users IS 'x'",
]  # fmt: skip
SESSION = [
    "BEGIN", "BEGIN READ WRITE", "START TRANSACTION READ WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE", "COMMIT",
    "ROLLBACK", "COMMIT AND CHAIN", "END", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "RESET ALL", "DISCARD ALL", "DISCARD TEMP", "RESET ROLE", "RESET SESSION AUTHORIZATION", "UNLISTEN *",
    "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE ALL", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH c",
    "CLOSE ALL", "SHOW ALL", "SET ROLE app", "SET SESSION AUTHORIZATION app",
]  # fmt: skip
GUCS = [
    "default_transaction_read_only", "transaction_read_only", "search_path", "session_replication_role", "role",
    "statement_timeout", "row_security", "client_encoding", "standard_conforming_strings", "app.tenant", "TimeZone",
    "DateStyle", "work_mem", "jit", "log_statement", "session_authorization", "local_preload_libraries",
]  # fmt: skip
ARGUMENTS = [
    "1", "0", "4242", "'x'", "'s.seq'", "'s.users'::regclass", "'s.seq'::regclass", "NULL", "true", "'{1,2}'::int[]",
    "'off'", "'role'", "'INSERT INTO s.audit(m) VALUES (1)'", "1::bigint", "1::oid", "'a'::text", "u", "u.id",
    "now()",
    "(SELECT 1)", "'{}'::jsonb", "ROW(1)", "1.5", "'\\x00'::bytea", "pg_backend_pid()", "'s.evil'::regproc",
]  # fmt: skip
TYPES = ["int", "text", "regclass", "s.dm", "s.ct", "s.users", "regproc", "oid", "pg_catalog.int4", "xml", "dm"]
OPERATORS = ["+", "||", "OPERATOR(s.@@@)", "=", "OPERATOR(pg_catalog.+)", "@@@", "->", "~"]
DANGEROUS = [
    "nextval", "setval", "lo_create", "lo_from_bytea", "lo_unlink", "lo_put", "set_config", "pg_advisory_lock",
    "pg_try_advisory_lock", "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf", "pg_notify",
    "query_to_xml",
    "pg_logical_emit_message", "txid_current", "pg_current_xact_id", "s.evil", "s.evil_secdef", "s.evil_rw",
    "s.attr_evil", "s.evil_op", "s.evil_agg", "dblink_exec", "ts_stat", "pg_switch_wal", "pg_stat_reset", "evil",
    "pg_create_physical_replication_slot", "pg_export_snapshot", "ts_rewrite", "table_to_xml", "cursor_to_xml",
]  # fmt: skip


def disguised(name: str) -> st.SearchStrategy[str]:
    """The ways to write one name."""
    schema, _, last = name.rpartition(".")
    before = f"{schema}." if schema else ""
    escaped = "".join(f"\\{ord(character):04x}" for character in last)
    return st.sampled_from([
        name, name.upper(), f'{before}"{last}"', f'{before}U&"{escaped}"', f"{before}/*.*/{last}", f"{name}--\n",
        f"pg_catalog.{last}", f"{before}\t{last}\n",
    ])  # fmt: skip


def grammar(functions: list[str]) -> st.SearchStrategy[str]:
    """Messages: mostly one statement, at times several, in odd spacing and case."""
    argument = st.sampled_from(ARGUMENTS)
    name = st.one_of(st.sampled_from(DANGEROUS), st.sampled_from(functions)).flatmap(disguised)
    call = st.builds(lambda f, a: f"{f}({', '.join(a)})", name, st.lists(argument, max_size=3))
    attribute = st.builds(lambda f, a: f"({a}).{f}", name, argument)
    column = st.builds(lambda f: f"u.{f}", name)
    cast = st.builds(lambda a, t, how: how.format(a, t), argument, st.sampled_from(TYPES), st.sampled_from(
        ["{0}::{1}", "CAST({0} AS {1})", "({0})::{1}[]"]))  # fmt: skip
    operator = st.builds(lambda a, o, b: f"({a} {o} {b})", argument, st.sampled_from(OPERATORS), argument)
    value = st.one_of(argument, call, call, attribute, column, cast, operator)
    nested = st.builds(lambda v, how: how.format(v), value, st.sampled_from([
        "{}", "coalesce({}, NULL)", "CASE WHEN true THEN {} END", "ARRAY[{}]", "(SELECT {})",
        "count(*) FILTER (WHERE {} IS NULL)",
    ]))  # fmt: skip
    select = st.builds(lambda v, how: how.format(v), nested, st.sampled_from([
        "SELECT {} FROM s.users u LIMIT 1", "SELECT {0}", "SELECT 1 FROM s.users u WHERE {} IS NULL",
        "SELECT 1 FROM s.users u ORDER BY {} LIMIT 1", "SELECT * FROM {} f", "VALUES ({})", "SELECT 1 LIMIT {}",
        "SELECT 1 FROM s.users u GROUP BY {}", "SELECT sum(1) OVER (ORDER BY {}) FROM s.users u LIMIT 1",
    ]))  # fmt: skip
    setting = st.builds(lambda g, v, how: how.format(g, v), st.sampled_from(GUCS), st.sampled_from(
        ["off", "on", "'x'", "DEFAULT", "0", "replica", "app"]), st.sampled_from([
        "SET {} = {}", "SET SESSION {} TO {}", "SET LOCAL {} = {}", "RESET {}",
        "SELECT set_config('{}', '{}', false)",
        "SELECT pg_catalog.set_config('{}', 'off', true)", "SHOW {}", "ALTER ROLE CURRENT_USER SET {} = {}",
        "SELECT set_config(lower('{}'), 'off', false)",
    ]))  # fmt: skip
    body = st.one_of(select, select, st.sampled_from(READS), st.sampled_from(WRITES))
    wrapped = st.builds(lambda b, how: how.format(b), body, st.sampled_from([
        "{}", "EXPLAIN {}", "EXPLAIN ANALYZE {}", "EXPLAIN (ANALYZE, COSTS off) {}", "WITH w AS ({}) SELECT * FROM w",
        "PREPARE p AS {}", "DECLARE c CURSOR FOR {}", "COPY ({}) TO STDOUT", "WITH w AS MATERIALIZED ({}) SELECT 1",
        "SELECT EXISTS ({})", "({}) UNION ALL SELECT NULL", "CREATE VIEW s.made AS {}", "DO $x${}$x$",
        "PREPARE p AS {}; EXECUTE p", "BEGIN; DECLARE c CURSOR WITH HOLD FOR {}; COMMIT; FETCH ALL c",
    ]))  # fmt: skip
    statement = st.one_of(
        wrapped, wrapped, setting, st.sampled_from(SESSION), st.sampled_from(OTHERS), st.sampled_from(WRITES)
    )
    spaced = st.builds(lambda s, how: how(s), statement, st.sampled_from(SPACINGS))
    return st.one_of(spaced, spaced, st.lists(spaced, min_size=2, max_size=4).map("; ".join))


SPACINGS: list[Callable[[str], str]] = [
    lambda sql: sql,
    lambda sql: sql,
    str.swapcase,
    lambda sql: sql.replace(" ", "\t\n"),
    lambda sql: sql.replace(" ", "/* é /* ; */ */ "),
    lambda sql: f"-- SELECT 1;\r\n{sql} ;;",
    lambda sql: f"SELECT $a$;$a$, E'\\'', U&'\\0041'; {sql}",
]


class Watch:
    """One session under test, one that must live on, and one of an administrator who looks."""

    def __init__(self, tested: Line, sentinel: Line, admin: Line) -> None:
        self.tested, self.sentinel, self.admin = tested, sentinel, admin
        self.signs, self.mine = self._ask(admin, SIGNS), self._ask(tested, MINE)
        self.ran = 0

    @staticmethod
    def _ask(line: Line, sql: str) -> bytes | None:
        [result] = line.simple(sql)
        assert not result.error_message, result.error_message
        return result.get_value(0, 0)

    def send(self, sql: str, *, extended: bool) -> None:
        results = (self.tested.extended if extended else self.tested.simple)(sql)
        self.ran += refusal(results) is None

    def look(self) -> None:
        assert self.tested.alive
        self.tested.simple("ROLLBACK")
        assert self._ask(self.tested, MINE) == self.mine
        assert self._ask(self.admin, SIGNS) == self.signs
        assert self._ask(self.sentinel, "SELECT 1") == b"1"


async def watched(database: DemoDatabase, folder: Path, run: Callable[[Watch], None]) -> Watch:
    """Run it against a world of its own, and see at last that all that is stored is what it was."""
    async with open_loose(database, folder) as world:
        before = await untouched(database)
        token = await world.token(add_reader(world))
        lines = [await asyncio.to_thread(Line.through, world, token) for _ in range(2)]
        admin = await asyncio.to_thread(Line.direct, database)
        try:
            watch = await asyncio.to_thread(Watch, lines[0], lines[1], admin)
            await asyncio.to_thread(run, watch)
        finally:
            for line in (*lines, admin):
                line.close()
        after = await untouched(database)
    assert [name for name in before | after if before.get(name) != after.get(name)] == []
    return watch


def functions_of(watch: Watch) -> list[str]:
    [names] = watch.admin.simple("SELECT DISTINCT proname FROM pg_proc WHERE proname ~ '^[a-z_0-9]+$' ORDER BY 1")
    return [(names.get_value(row, 0) or b"").decode() for row in range(names.ntuples)]


def random_statements(watch: Watch, most: int) -> None:
    @settings(
        max_examples=most, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(sql=grammar(functions_of(watch)), extended=st.booleans())
    @example(sql="COMMIT; BEGIN READ WRITE; INSERT INTO s.audit(m) VALUES ('x'); COMMIT", extended=False)
    def try_one(sql: str, extended: bool) -> None:
        watch.send(sql, extended=extended)
        watch.look()

    try_one()


async def test_no_statement_of_a_grammar_changes_anything(loose_database: DemoDatabase, tmp_path: Path) -> None:
    watch = await watched(loose_database, tmp_path, lambda watch: random_statements(watch, 100))
    assert watch.ran > 5  # what is refused altogether says nothing of what is let through


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_none_of_many_statements_changes_anything(loose_database: DemoDatabase, tmp_path: Path) -> None:
    await watched(loose_database, tmp_path, lambda watch: random_statements(watch, 20_000))


# Values that are not NULL: a strict function of NULL does nothing.
SAMPLES = {
    "int4": "1", "int2": "1::int2", "int8": "1::int8", "oid": "1::oid", "text": "'x'::text", "name": "'x'::name",
    "bool": "true", "regclass": "'s.users'::regclass", "float8": "1.5::float8", "numeric": "1.5",
    "bytea": "'x'::bytea",
    "jsonb": "'{}'::jsonb", "json": "'{}'::json", "_text": "'{x}'::text[]", "timestamptz": "now()",
    "date": "'2024-01-01'::date",
    "anyelement": "1", "anyarray": "'{1}'::int[]", "any": "1", "tsquery": "'a'::tsquery",
    "interval": "'1 s'::interval",
}  # fmt: skip
EVERY = """
SELECT format('%I.%I', n.nspname, p.proname), ARRAY(
    SELECT t.typname FROM unnest(p.proargtypes) WITH ORDINALITY a(o, i) JOIN pg_type t ON t.oid = a.o ORDER BY i),
    p.provolatile = 'i' AND n.nspname = 'pg_catalog' AND p.prolang = 12
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname <> 'watch' AND p.proname !~ '^pg_sleep' ORDER BY 1, 2
"""


def every_function(watch: Watch, one_of: int = 1) -> None:
    """But for those of C whose result follows from their arguments alone: one of so many."""
    [found] = watch.admin.simple(EVERY)
    for row in range(found.ntuples):
        if found.get_value(row, 2) == b"t" and row % one_of:
            continue
        name = (found.get_value(row, 0) or b"").decode()
        types = (found.get_value(row, 1) or b"").decode().strip("{}").replace('"', "").split(",")
        values = [SAMPLES.get(kind, "NULL") for kind in types if kind]
        watch.send(f"SELECT {name}({', '.join(values)})", extended=bool(row % 2))
        if len(values) == 1:
            watch.send(f"SELECT ({values[0]}).{name.rpartition('.')[2]}", extended=bool(row % 2))
        if row % 50 == 0:
            watch.look()
    watch.look()


def most_functions(watch: Watch) -> None:
    every_function(watch, one_of=24)


@pytest.mark.parametrize(
    ("functions", "least"),
    [
        pytest.param(most_functions, 600, id="most of them"),
        pytest.param(every_function, 1000, id="all of them", marks=pytest.mark.slow),
    ],
)
async def test_no_function_of_the_server_changes_anything(
    functions: Callable[[Watch], None], least: int, loose_database: DemoDatabase, tmp_path: Path
) -> None:
    watch = await watched(loose_database, tmp_path, functions)
    assert watch.ran > least


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO s.audit(m) VALUES ('x')", "SELECT nextval('s.seq')", "SELECT pg_advisory_lock(1)",
        "SELECT lo_create(0)", "SET search_path = s", "SET ROLE app", "SET app.tenant = '7'",
        "CREATE TEMP TABLE a ()",
    ],
)  # fmt: skip
async def test_a_change_would_be_seen(loose_database: DemoDatabase, sql: str) -> None:
    """The same looks, at a session that nothing guards: each change is noticed by one of them."""
    lines = [await asyncio.to_thread(Line.direct, loose_database) for _ in range(3)]
    watch = Watch(*lines)
    watch.tested.simple(sql)
    with pytest.raises(AssertionError):
        watch.look()
    for line in lines:
        line.close()
