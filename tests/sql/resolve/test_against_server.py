"""What PostgreSQL itself finds that a statement depends on is among what resolving finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings

from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.resolve import resolve
from tests.sql.grammar import statements

# A function with a body in SQL's own syntax keeps what it depends on, column by column: reads and writes.
_DEPENDS = """
    SELECT n.nspname, c.relname, a.attname
    FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = 'scratch'::regproc AND d.refclassid = 'pg_class'::regclass
"""
_CALLS = """
    SELECT n.nspname, p.proname
    FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = 'scratch'::regproc AND d.refclassid = 'pg_proc'::regclass
"""
_OPERATES = """
    SELECT n.nspname, o.oprname
    FROM pg_depend d JOIN pg_operator o ON o.oid = d.refobjid JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = 'scratch'::regproc AND d.refclassid = 'pg_operator'::regclass
"""


@dataclass(frozen=True)
class Depends:
    """What the server says."""

    columns: set[tuple[object, ...]]
    functions: set[tuple[object, ...]]
    operators: set[tuple[object, ...]]


@pytest.fixture(scope="module")
def connection(names_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(names_dsn, options="-c search_path=public,sales") as opened:
        yield opened


def _depends(connection: psycopg.Connection, sql: str) -> Depends | None:
    """None where the server does not accept the statement."""
    try:
        connection.execute(f"CREATE FUNCTION scratch() RETURNS void LANGUAGE sql BEGIN ATOMIC {sql}; END")
        return Depends(*(set(connection.execute(asked)) for asked in (_DEPENDS, _CALLS, _OPERATES)))
    except psycopg.Error as fault:
        note(str(fault))
        return None
    finally:
        connection.rollback()


def _missing(referenced: ReferencedObjects, depends: set[tuple[object, ...]]) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = {(one.schema, one.name, None) for one in referenced.relations}
    found |= {(one.schema, one.relation, one.column) for one in referenced.columns}
    return depends - found


@pytest.mark.parametrize("examples", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_what_the_server_finds_is_found(examples: int, connection: psycopg.Connection, live_catalog: Catalog) -> None:
    accepted: Counter[bool] = Counter()

    @given(sql=statements())
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def check(sql: str) -> None:
        depends = _depends(connection, sql)
        accepted[depends is not None] += 1
        if depends is None:
            return
        (statement,) = read_message(sql).statements
        referenced = resolve(statement, live_catalog)

        assert _missing(referenced, depends.columns) == set()
        assert depends.functions - {(one.schema, one.name) for one in referenced.functions} == set()
        assert depends.operators - {(one.schema, one.name) for one in referenced.operators} == set()
        assert referenced.faults == ()

    check()

    assert accepted[True] > accepted.total() / 10  # the grammar makes what the server accepts, too
