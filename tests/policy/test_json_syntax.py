"""SQL/JSON on servers of each age: syntax on those that have it, and a call of anybody's function on older ones."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.judging.judge import assess
from pgjit.sql.catalog import Catalog, Function
from tests.fixtures.odd import ODD
from tests.fixtures.terms import policy_of

# The name that an older server calls, and the version that has it as syntax.
FORMS = [
    ("SELECT JSON_ARRAY(1, 2)", "json_array", 160000),
    ("SELECT JSON_ARRAY()", "json_array", 160000),
    ("SELECT JSON_ARRAYAGG(id) FROM orders", "json_arrayagg", 160000),
    ("SELECT JSON_OBJECT()", "json_object", 160000),
    ("SELECT JSON_OBJECT('{a, 1}')", "json_object", 160000),
    ("SELECT JSON_SCALAR(1)", "json_scalar", 170000),
    ("SELECT JSON_SERIALIZE('{}')", "json_serialize", 170000),
    ("SELECT JSON('{}')", "json", 170000),
    ("SELECT JSON_VALUE(jsonb '{}', '$')", "json_value", 170000),
    ("SELECT JSON_QUERY(jsonb '{}', '$')", "json_query", 170000),
    ("SELECT JSON_EXISTS(jsonb '{}', '$')", "json_exists", 170000),
    ("SELECT count(*) FROM orders WHERE JSON_EXISTS(jsonb '{}', '$')", "json_exists", 170000),
]


def _catalog(version: int, own: str | None) -> Catalog:
    public = dict(ODD.functions["public"])
    if own is not None:
        public[own] = (Function(arguments=('"any"',), variadic=True, returns="json"),)
    builtin = {**ODD.functions["pg_catalog"], "json_object": (Function(builtin=True, arguments=("text[]",)),)}
    return dataclasses.replace(
        ODD, server_version=version, functions={**ODD.functions, "public": public, "pg_catalog": builtin}
    )


def _refused(sql: str, catalog: Catalog) -> list[tuple[str, str]]:
    return [(one.rule, one.sqlstate) for one in assess(policy_of(), sql.encode(), 10_000, catalog).violations]


@pytest.mark.parametrize(("sql", "name", "since"), FORMS)
def test_a_server_that_has_the_syntax_calls_nobodys_function(sql: str, name: str, since: int) -> None:
    for own in (None, name):
        assert _refused(sql, _catalog(since, own)) == []


@pytest.mark.parametrize(("sql", "name", "since"), FORMS)
def test_an_older_server_calls_a_function_of_that_name(sql: str, name: str, since: int) -> None:
    rules = {rule for rule, _ in _refused(sql, _catalog(since - 10000, name))}
    assert "function-call" in rules


@pytest.mark.parametrize(("sql", "name", "since"), [form for form in FORMS if form[1] not in ("json", "json_object")])
def test_where_an_older_server_has_no_such_function_its_own_error_is_given(sql: str, name: str, since: int) -> None:
    assert ("unresolved-name", "42883") in _refused(sql, _catalog(since - 10000, None))
