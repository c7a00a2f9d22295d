"""The cost of the catalog queries is proportional to the catalog: counted in rows, not in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgjit.server.catalog_cache import _settings
from pgjit.server.catalog_queries import CHANGE_STAMP, QUERIES

SCHEMA = "growing"
STEP = 60
_OBJECTS = """
    CREATE TYPE growing.e{n} AS ENUM ('a', 'b');
    CREATE DOMAIN growing.d{n} AS text CHECK (length(VALUE) < 9);
    CREATE TYPE growing.r{n} AS (x growing.d{n}, y int[]);
    CREATE TABLE growing.t{n} (id int PRIMARY KEY, mood growing.e{n}, d growing.d{n}, more numeric[] DEFAULT '{{}}');
    CREATE TABLE growing.c{n} (extra text) INHERITS (growing.t{n});
    CREATE FUNCTION growing.f{n}(growing.e{n}, VARIADIC int[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
    CREATE VIEW growing.v{n} AS SELECT t.*, growing.f{n}(t.mood, 1) FROM growing.t{n} t WHERE upper(t.d) <> 'x';
    CREATE FUNCTION growing.j{n}(growing.e{n}) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT 'null'::json $$;
    CREATE CAST (growing.e{n} AS json) WITH FUNCTION growing.j{n}(growing.e{n});
    CREATE OPERATOR growing.=== (LEFTARG = growing.e{n}, RIGHTARG = growing.d{n}, FUNCTION = growing.o{n});
    CREATE RULE no{n} AS ON DELETE TO growing.v{n} DO INSTEAD NOTHING;
    COMMENT ON TABLE growing.t{n} IS 'one of many';
"""
_OPERATOR_FUNCTION = """
    CREATE FUNCTION growing.o{n}(growing.e{n}, growing.d{n}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
"""


@pytest.fixture(scope="module")
def growing(names_dsn: str) -> Iterator[list[dict[str, int]]]:
    """What every question costs with no, `STEP` and twice `STEP` objects of each sort."""
    with psycopg.connect(names_dsn, autocommit=True) as connection:
        connection.execute("SET client_min_messages = error")
        connection.execute("CREATE SCHEMA growing")
        try:
            costs = [_costs(connection)]
            for first in (0, STEP):
                for number in range(first, first + STEP):
                    head, tail = _OBJECTS.split("    CREATE OPERATOR", 1)
                    text = head + _OPERATOR_FUNCTION + "    CREATE OPERATOR" + tail
                    connection.execute(text.format(n=number).encode())
                costs.append(_costs(connection))
            yield costs
        finally:
            connection.execute("DROP SCHEMA growing CASCADE")


def _costs(connection: psycopg.Connection) -> dict[str, int]:
    connection.execute("ANALYZE")
    with connection.transaction():
        for setting, value in _settings(0).items():
            connection.execute("SELECT set_config(%s, %s, true)", (setting, value))
        found = {}
        for name, query in {"changed": CHANGE_STAMP, **QUERIES}.items():
            explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}"
            ((plans,),) = connection.execute(explain.encode()).fetchall()
            found[name] = _rows(plans[0]["Plan"])
        return found


def _rows(node: dict[str, Any]) -> int:
    """Rows that a plan's nodes gave or threw away, over all of their loops."""
    here = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return int(here * node["Actual Loops"]) + sum(_rows(child) for child in node.get("Plans", ()))


@pytest.mark.parametrize("name", ["changed", *QUERIES])
def test_twice_as_many_objects_cost_no_more_than_twice_as_much(growing: list[dict[str, int]], name: str) -> None:
    nothing, once, twice = (costs[name] for costs in growing)
    # A question that looks through everything for each object would cost four times as much.
    assert twice - nothing < 2.6 * max(once - nothing, 60 * STEP)
