"""Casts and checks that a server runs unasked are among what a statement touches, on an old and on a new server."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from pgjit.errors import StatementRefused
from pgjit.sql.catalog import Catalog, Operator, QName
from pgjit.sql.parse import read_message
from pgjit.sql.resolve.object_collector import StepBudget
from pgjit.sql.resolve.resolve import resolve
from tests.e2e.servers import serve
from tests.sql.casting import (
    BUILTIN_CALLING,
    BUILTIN_QUIET,
    BUILTIN_SCHEMA,
    CALLING,
    NEWER,
    QUIET,
    QUIET_NEWER,
    SCHEMA,
    WRITING,
)
from tests.sql.operands import statements
from tests.sql.snapshots import read_snapshot

pytestmark = pytest.mark.live

LOGGING = (
    "mood_int", "mood_json", "hue_text", "hue_jsonb", "flag_bool", "flag_int", "flag_text", "int_flag", "state_json",
    "span_text", "unit_measure", "grade_rank", "feel_text", "code_check",
    "text_int", "int_tag", "bool_num", "ints_vec", "vec_ints", "base_text",
)  # fmt: skip


@dataclass
class Casting:
    connection: psycopg.Connection
    catalog: Catalog
    fault: str = ""  # of the latest statement

    def called(self, sql: str) -> set[str]:
        """The functions that the server called: all of it is undone."""
        notices: set[str] = set()
        self.fault = ""

        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            notices.add(diagnostic.message_primary or "")

        self.connection.add_notice_handler(note)
        try:
            with self.connection.transaction(force_rollback=True):
                self._run(sql)
        except psycopg.Error as fault:  # what was called before it counts
            self.fault = str(fault)
        finally:
            self.connection.remove_notice_handler(note)
            self.connection.execute("DEALLOCATE ALL")
        return notices & set(LOGGING)

    def _run(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            if not sql.startswith("COPY"):
                cursor.execute(sql.encode())
                return
            with cursor.copy(sql.encode()) as copying:
                if "FROM STDIN" in sql:
                    copying.write("on\n")
                else:
                    list(copying)

    def found(self, sql: str) -> set[str]:
        names: set[str] = set()
        for statement in read_message(sql).statements:
            referenced = resolve(statement, self.catalog)
            names |= {one.name for one in referenced.functions}
        return names & set(LOGGING)


@pytest.fixture(scope="module", params=["installed", "embedded-18"])
def casting(request: pytest.FixtureRequest) -> Iterator[Casting]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-casts-"))
    folder.chmod(0o755)
    try:
        with serve(request.param, folder) as served, psycopg.connect(served.superuser_dsn, autocommit=True) as before:
            before.execute("CREATE DATABASE casts ENCODING 'UTF8' TEMPLATE template0")
            dsn = served.superuser_dsn.replace(f"/{served.database}?", "/casts?")
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(SCHEMA.encode())
                yield Casting(connection, asyncio.run(read_snapshot(dsn, "public")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def builtin(casting: Casting) -> Iterator[Casting]:
    """Beside it, a database whose casts are from built-in types."""
    info = casting.connection.info
    casting.connection.execute("CREATE DATABASE builtin ENCODING 'UTF8' TEMPLATE template0")
    dsn = f"postgresql://{info.user}@/builtin?host={info.host}&port={info.port}"
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(BUILTIN_SCHEMA.encode())
            yield Casting(connection, asyncio.run(read_snapshot(dsn, "public")))
    finally:
        casting.connection.execute("DROP DATABASE builtin WITH (FORCE)")


def test_casts_from_builtin_types_are_found(builtin: Casting) -> None:
    for sql in BUILTIN_CALLING:
        called = builtin.called(sql)
        assert called, (sql, builtin.fault)
        assert called <= builtin.found(sql), sql
    for sql in BUILTIN_QUIET:
        assert (sql, builtin.called(sql), builtin.fault, builtin.found(sql)) == (sql, set(), "", set())


def test_each_cast_is_found_where_it_is_the_only_one(builtin: Casting) -> None:
    """That a cast leads somewhere is seen by itself, and not because another one makes everything looked through."""
    for sql in BUILTIN_CALLING:
        called = builtin.called(sql)
        casts = tuple(cast for cast in builtin.catalog.casts if cast.function and cast.function.name in called)
        alone = Casting(builtin.connection, replace(builtin.catalog, casts=casts))
        assert called <= alone.found(sql), sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(id) = min(id) FROM t",
        "SELECT lower(name) <> upper(name) FROM t",
        "SELECT lower(name) = 'x', now() > '2020-01-01', date_trunc('day', now()) = now() FROM t",
    ],
)
def test_what_builtin_functions_return_is_compared_by_builtin_operators(builtin: Casting, sql: str) -> None:
    """Although an operator of that name takes what an integer can be made into."""
    own = Operator("public.tag", "public.tag", QName("public", "dist"), "boolean")
    named: dict[str, tuple[Operator, ...]] = dict.fromkeys(("=", "<>", ">"), (own,))
    casts = tuple(cast for cast in builtin.catalog.casts if cast.function and cast.function.name == "int_tag")
    catalog = replace(builtin.catalog, casts=casts, operators={**builtin.catalog.operators, "public": named})
    assert Casting(builtin.connection, catalog).found(sql) == set()


def _newer(casting: Casting) -> bool:
    return casting.connection.info.server_version >= 180000


def test_what_is_called_unasked_is_found(casting: Casting) -> None:
    missed = {}
    for sql in CALLING + WRITING + (NEWER if _newer(casting) else []):
        called = casting.called(sql)
        if not called and "xml" not in sql:  # which not every server was built with
            missed[sql] = f"nothing is called: {casting.fault}"
        elif unseen := called - casting.found(sql):
            missed[sql] = f"not found: {unseen}"
    assert not missed


def test_nothing_is_found_where_nothing_is_called(casting: Casting) -> None:
    for sql in QUIET + (QUIET_NEWER if _newer(casting) else []):
        assert (sql, casting.called(sql), casting.fault, casting.found(sql)) == (sql, set(), "", set())


def test_any_value_in_any_place_calls_nothing_that_is_not_found(casting: Casting) -> None:
    _compare(casting, list(statements())[::29])


@pytest.mark.slow
def test_every_value_in_every_place_calls_nothing_that_is_not_found(casting: Casting) -> None:
    _compare(casting, list(statements()))


def _compare(casting: Casting, tried: list[str]) -> None:
    """Most of them are errors, and some are no SQL: what runs without a call is seldom refused."""
    missed: dict[str, set[str]] = {}
    ran = refused = calling = 0
    for sql in tried:
        called = casting.called(sql)
        try:
            found = casting.found(sql)
        except StatementRefused:
            continue
        if called - found:
            missed[sql] = called - found
        calling += bool(called)
        ran += not called and not casting.fault
        refused += not called and not casting.fault and bool(found)
    assert not missed
    assert calling > len(tried) // 10
    assert refused * 25 < ran


def test_steps_grow_no_faster_than_the_statement(casting: Casting) -> None:
    def steps(count: int) -> int:
        sql = "SELECT " + ", ".join(f"to_json(coalesce(m, 'sad')) || upper(h) || {n}" for n in range(count))
        (statement,) = read_message(f"{sql} FROM mixed").statements
        budget = StepBudget(10_000_000)
        resolve(statement, casting.catalog, steps=budget)
        return 10_000_000 - budget.left

    assert steps(200) < 3 * steps(100)
