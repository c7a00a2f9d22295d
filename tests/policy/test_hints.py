"""Hints name what was meant and how PostgreSQL writes it, and no name that the policy denies."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.judging.judge import assess
from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.dialects import function_hint, rewrites, syntax_hint
from pgjit.sql.catalog import Catalog, Column, Dependency, QName, Relation
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import policy_of, terms

_COLUMNS = (Column("id", "integer"), Column("salary", "numeric"), Column("salute", "text"))
KNOWN = dataclasses.replace(
    SHOP,
    relations={
        **SHOP.relations,
        "hr": {
            "people": Relation("p", _COLUMNS),
            "people_2026": Relation("r", _COLUMNS, parents=(QName("hr", "people"),)),
            "paid": Relation("v", _COLUMNS, reads=(Dependency(QName("hr", "people"), ("salary",)),)),
            "secrets": Relation("r", _COLUMNS),
        },
    },
)


def _hint(sql: str, catalog: Catalog | None = KNOWN, **section: object) -> str:
    policy = dataclasses.replace(policy_of(), statements=terms(**section))
    return str(assess(policy, sql.encode(), 10_000, catalog).violations[0].hint)


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT salry FROM hr.secrets", "Perhaps you meant `secrets.salary`."),
        ("SELECT s.salry FROM hr.secrets s", "Perhaps you meant `s.salary`."),
        ("SELECT * FROM secrets", "Perhaps you meant `hr.secrets`."),
        ("SELECT * FROM hr.secret", "Perhaps you meant `hr.secrets`."),
        ("SELECT secrets.id FROM hr.secrets s", "Perhaps you meant the alias `s`."),
        ("SELECT ifnull(1, 2)", "In PostgreSQL it is written like `coalesce(a, 0)`."),
        ("SELECT dateadd(day, 1, now())", "In PostgreSQL it is written like `d + interval '1 day'`."),
    ],
)
def test_a_hint_says_what_was_meant(sql: str, hint: str) -> None:
    assert hint in _hint(sql)


@pytest.mark.parametrize(
    "deny",
    [{"columns": ["hr.*.salary"]}, {"relations": ["hr.secrets"]}, {"schemas": ["hr"]}, {"columns": ["*.salary"]}],
)
def test_a_denied_name_is_in_no_hint(deny: dict[str, list[str]]) -> None:
    for sql in ("SELECT salry FROM hr.secrets", "SELECT s.salry FROM hr.secrets s"):
        assert "salary" not in _hint(sql, deny=[deny])
    if "columns" not in deny:
        for sql in ("SELECT * FROM secrets", "SELECT * FROM hr.secret"):
            assert "hr.secrets" not in _hint(sql, deny=[deny])


def test_where_something_is_denied_nothing_is_named_that_may_lead_to_it() -> None:
    deny = [{"columns": ["hr.people.salary"]}]
    for sql in ("SELECT salry FROM hr.people_2026", "SELECT salry FROM hr.paid", "SELECT salry FROM hr.people"):
        assert "salary" in _hint(sql)
        assert "salary" not in _hint(sql, deny=deny)
    assert "paid" not in _hint("SELECT * FROM hr.paidd", deny=deny)


def test_what_the_policy_does_not_allow_is_not_named() -> None:
    allow = [{"relations": ["public.orders"]}]
    assert "hr.secrets" not in _hint("SELECT * FROM secrets", allow=allow)
    assert "`orders." in _hint("SELECT ordered_att FROM orders", allow=allow)


def test_a_denied_function_is_in_no_hint() -> None:
    assert "`lower`" in _hint("SELECT lowr('x')")
    assert "`lower`" not in _hint("SELECT lowr('x')", deny=[{"functions": ["lower"]}])


def test_without_a_catalog_functions_of_other_systems_are_explained_as_well() -> None:
    assert "coalesce" in _hint("SELECT nvl(1, 2)", None)


def test_no_rewrite_is_for_a_function_that_may_be_called() -> None:
    both = {"convert", "date_add", "date_subtract", "decode"}  # PostgreSQL has them with other arguments
    assert set(rewrites()["functions"]) & BUILTIN_FUNCTIONS <= both
    assert function_hint("lower") is None


def test_what_does_not_parse_is_looked_at_for_what_other_systems_write() -> None:
    assert "LIMIT 5" in str(syntax_hint("select top 10 * from t"))
    assert syntax_hint("selct 1") is None
    assert "pg_catalog" not in str(_hint("SELECT `a` FROM t"))
    assert "pg_class" in _hint("SELECT `a` FROM t")


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SHOW TABLES", "information_schema.tables"),
        ("LISTEN x", "Ask again"),
        ("ANALYZE orders", "last_autoanalyze"),
        ("VACUUM orders", "last_autovacuum"),
        ("LOCK TABLE orders", "REPEATABLE READ"),
        ("CREATE TEMP TABLE x AS SELECT 1", "WITH name AS"),
        ("CREATE TEMPORARY TABLE x (a int)", "WITH name AS"),
        ("CREATE TEMP VIEW x AS SELECT 1", "WITH name AS"),
        ("SELECT 1 INTO TEMP x", "WITH name AS"),
        ("INSERT INTO notes (note) VALUES ('x')", "ask for a policy that may write"),
        ("DELETE FROM notes WHERE id = 1", "ask for a policy that may write"),
    ],
)
def test_a_policy_that_may_write_is_asked_for_only_where_it_would_help(sql: str, hint: str) -> None:
    found = _hint(sql)
    assert hint in found
    assert ("may write" in found) is sql.startswith(("INSERT", "DELETE"))
