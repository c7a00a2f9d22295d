"""Where the server puts a value to a domain's check, what the check calls is among what the statement touches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from pgjit.judging.judge import assess
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Preset
from pgjit.policy.selector import Selector
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from pgjit.sql.resolve.resolve import resolve
from tests.fixtures.terms import policy_of
from tests.run.rows import table
from tests.sql.snapshots import read_snapshot

SCHEMA = """
CREATE FUNCTION looked(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'looked'; RETURN true; END$$;
CREATE DOMAIN code AS text CHECK (looked(VALUE));
CREATE DOMAIN outer_code AS code;
CREATE DOMAIN codes AS code[];
CREATE DOMAIN cast_within AS text CHECK ((VALUE)::code IS NOT NULL);
CREATE FUNCTION both_fine(text, text) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'looked'; RETURN true; END$$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = both_fine);
CREATE DOMAIN by_operator AS text CHECK (VALUE === 'x');
CREATE TYPE span AS RANGE (SUBTYPE = outer_code);
CREATE TYPE pair AS (a code, b integer);
CREATE TYPE pairs AS (first pair, others pair[]);
CREATE TABLE plain (id integer, name text);
CREATE TABLE held (id integer, one code, other outer_code);
CREATE TABLE many (id integer, all_of_them code[], listed codes, spans span, paired pair, pairs pair[]);
CREATE TABLE deep (id integer, p pairs);
CREATE TABLE child () INHERITS (held);
CREATE FUNCTION takes(code) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION takes_pair(pair) RETURNS text LANGUAGE sql AS 'SELECT ($1).a::text';
CREATE FUNCTION gives() RETURNS SETOF held LANGUAGE sql AS 'SELECT * FROM held';
INSERT INTO plain VALUES (1, 'a');
INSERT INTO held VALUES (1, 'a', 'b');
INSERT INTO many VALUES (1, '{a}', '{a}', '[a,b]', ROW('a', 1), ARRAY[ROW('a', 1)::pair]);
INSERT INTO deep VALUES (1, ROW(ROW('a', 1), '{}'));
"""

CHECKED = [
    "SELECT 'x'::code",
    "SELECT CAST(name AS code) FROM plain",
    "SELECT code 'x'",
    "SELECT name::outer_code FROM plain",
    "SELECT '{x}'::code[]",
    "SELECT '{x}'::codes",
    "SELECT '{x}'::_code",
    "SELECT 'x'::cast_within",
    "SELECT 'x'::by_operator",
    "SELECT '[a,b]'::span",
    "SELECT span('a', 'b')",
    "SELECT '{[a,b]}'::span_multirange",
    "SELECT ROW('x', 1)::pair",
    "SELECT '(x,1)'::pair",
    "SELECT '(\"(x,1)\",)'::pairs",
    "SELECT ROW(1, 'x', 'y')::held",
    "SELECT '(1,x,y)'::held",
    "SELECT ARRAY[ROW('x', 1)]::pair[]",
    "SELECT ROW(1, 'x', 'y')::child",
    "SELECT jsonb_populate_record(NULL::held, '{\"one\": \"x\"}')",
    "SELECT jsonb_populate_record(h, '{\"one\": \"x\"}') FROM held h",
    "SELECT json_populate_record(h, '{\"one\": \"x\"}') FROM (SELECT * FROM held) h",
    "SELECT * FROM held h, json_populate_recordset(h, '[{\"one\": \"x\"}]')",
    "SELECT * FROM held h, LATERAL jsonb_populate_recordset(h, '[{\"one\": \"x\"}]')",
    "SELECT jsonb_populate_record(p, '{\"first\": {\"a\": \"x\"}}') FROM deep",
    "SELECT (jsonb_populate_record(paired, '{\"a\": \"x\"}')).a FROM many",
    "SELECT jsonb_populate_record(g, '{\"one\": \"x\"}') FROM gives() g",
    "WITH w AS (SELECT * FROM held) SELECT jsonb_populate_record(w, '{\"one\": \"x\"}') FROM w",
    "SELECT * FROM jsonb_to_record('{\"a\": \"x\"}') AS r (a code)",
    "SELECT * FROM json_to_recordset('[{\"a\": \"x\"}]') AS r (a code)",
    "SELECT * FROM jsonb_to_record('{\"a\": {\"a\": \"x\"}}') AS r (a pair)",
    "SELECT takes('x')",
    "SELECT takes(name) FROM plain",
    "SELECT takes_pair(ROW('x', 1))",
    "SELECT takes_pair('(x,1)')",
    "SELECT all_of_them FROM many UNION SELECT '{x}'",
    "SELECT all_of_them FROM many UNION SELECT ARRAY['x'::text]",
    "SELECT coalesce(all_of_them, '{x}') FROM many WHERE all_of_them <> '{x}'",
    "SELECT 1 FROM many WHERE all_of_them @> '{x}'",
    "SELECT all_of_them || '{x}' FROM many",
    "SELECT array_append(all_of_them, 'x') FROM many",
    "SELECT 1 FROM many WHERE spans @> '[x,y]'",
    "SELECT 1 FROM many WHERE spans && '[a,b]'",
    "SELECT paired FROM many UNION ALL SELECT '(x,1)'",
    "SELECT CASE WHEN id = 2 THEN h ELSE '(1,x,y)' END FROM held h",
    "SELECT h FROM held h UNION SELECT '(1,x,y)'",
    "SELECT coalesce(h, '(1,x,y)') FROM held h WHERE id = 2 OR one = 'a'",
    "SELECT array_append(ARRAY[one], 'x') FROM held",
    "SELECT ARRAY[one] || '{x}' FROM held",
    "SELECT array_agg(one) || '{x}' FROM held",
    "SELECT ARRAY(SELECT one FROM held) || '{x}'",
    "SELECT array_append(array_agg(h), '(1,x,y)') FROM held h",
    "SELECT array_append(listed, 'x') FROM many",
    "PREPARE p (code) AS SELECT $1; EXECUTE p ('x')",
    "SELECT JSON_VALUE(jsonb '\"x\"', '$' RETURNING code)",
    "SELECT JSON_QUERY(jsonb '{\"one\": \"x\"}', '$' RETURNING held)",
    "SELECT JSON_VALUE(jsonb '{}', '$.a' RETURNING text DEFAULT 'x'::code ON EMPTY)",
    "SELECT * FROM JSON_TABLE(jsonb '[{\"a\": \"x\"}]', '$[*]' COLUMNS (a code PATH '$.a')) AS t",
    "SELECT * FROM JSON_TABLE(jsonb '[[\"x\"]]', '$[*]' COLUMNS (NESTED '$[*]' COLUMNS (a code PATH '$'))) AS t",
    "SELECT JSON_EXISTS(jsonb '1', '$' PASSING 'x'::code AS a)",
]  # fmt: skip

UNCHECKED = [
    "SELECT * FROM held",
    "SELECT one, other FROM held WHERE one = 'x'",
    "SELECT h FROM held h WHERE other IN ('x', 'y')",
    "SELECT coalesce(one, 'x'), nullif(one, 'x') FROM held",
    "SELECT one FROM held UNION SELECT 'x'",
    "SELECT one || 'x', upper(one), length(other) FROM held",
    "SELECT count(*), max(one) FROM held GROUP BY id",
    "SELECT row_to_json(h) FROM held h WHERE one LIKE 'x%'",
    "SELECT * FROM plain WHERE id = 1",
    "SELECT CASE one WHEN 'x' THEN 'y' END FROM held",
    "SELECT one FROM child LIMIT 1",
    "SELECT id FROM many WHERE id = ANY(ARRAY[1])",
    "SELECT jsonb_populate_record(p, '{\"id\": 1}') FROM plain p",
    "SELECT concat(one, 'x'), format('%s', one), json_build_object('x', one) FROM held",
    "SELECT * FROM held WHERE (id, one) IN ((1, 'a'))",
    "SELECT to_jsonb(h), h FROM held h WHERE h.id = 1",
    "SELECT string_agg(one, ',') FROM held",
    "SELECT least(one, 'x') FROM held",
    "SELECT JSON_OBJECT('a': one), JSON_ARRAY(one, other), JSON_SCALAR(one) FROM held",
    "SELECT JSON_ARRAYAGG(one), JSON_OBJECTAGG(id: one) FROM held",
    "SELECT t.a FROM held h, JSON_TABLE(to_jsonb(h), '$' COLUMNS (a text PATH '$.one')) AS t",
    "SELECT one IS JSON, JSON_VALUE(to_jsonb(one), '$' RETURNING text) FROM held",
]  # fmt: skip


@pytest.fixture(scope="module")
def connection(names_dsn: str) -> Iterator[psycopg.Connection]:
    served = names_dsn.replace("/names?", "/domains?")
    with psycopg.connect(names_dsn, autocommit=True) as before:
        before.execute("CREATE DATABASE domains ENCODING 'UTF8' TEMPLATE template0")
    with psycopg.connect(served, autocommit=True) as opened:
        opened.execute(SCHEMA)
        yield opened


@pytest.fixture(scope="module")
def known(connection: psycopg.Connection, names_dsn: str) -> Catalog:
    return asyncio.run(read_snapshot(names_dsn.replace("/names?", "/domains?"), "public"))


def _called(sql: str, catalog: Catalog) -> set[str]:
    found: set[str] = set()
    for statement in read_message(sql).statements:
        referenced = resolve(statement, catalog)
        assert not referenced.faults
        found |= {one.name for one in referenced.functions if not one.builtin}
    return found & {"looked", "both_fine"}


def _looked(sql: str, connection: psycopg.Connection) -> bool:
    notices: list[object] = []
    connection.add_notice_handler(notices.append)
    try:
        connection.execute(sql)
    finally:
        connection.remove_notice_handler(notices.append)
    return bool(notices)


@table("sql", CHECKED)
def test_what_a_check_calls_is_found(sql: str, connection: psycopg.Connection, known: Catalog) -> None:
    assert _looked(sql, connection)
    assert _called(sql, known)


@table("sql", UNCHECKED)
def test_nothing_is_found_where_nothing_is_checked(sql: str, connection: psycopg.Connection, known: Catalog) -> None:
    assert not _looked(sql, connection)
    assert not _called(sql, known)


def test_such_a_function_has_to_be_named_by_the_policy(known: Catalog) -> None:
    sql = b"SELECT jsonb_populate_record(h, '{}') FROM held h"
    named = Selector(functions=Patterns.of(["public.looked"], 2, 2))
    refused = assess(policy_of(), sql, 10_000, known).violations
    assert [(one.rule, one.message) for one in refused] == [
        ("function-call", "function `public.looked`, which `public.held` calls, is not allowed under this policy")
    ]
    assert assess(policy_of(Preset.READ_ONLY, named), sql, 10_000, known).allowed
