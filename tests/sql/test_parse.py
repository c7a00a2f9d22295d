"""Text to facts, and text that would end or stall a parser."""

from __future__ import annotations

import time

import pytest

from pgjit.errors import StatementRefused
from pgjit.proxy.judge import assess
from pgjit.sql.parse import read_message
from pgjit.sql.statement import NameEffect
from tests.fixtures.terms import policy_of

LIMIT = 256 * 1024


@pytest.mark.parametrize("text", ["", ";", " ;; ", "-- nothing", "/* nothing */"])
def test_nothing_is_no_statement(text: str) -> None:
    assert read_message(text).statements == ()


@pytest.mark.parametrize(
    ("text", "kind", "effect"),
    [
        ("select 1", "select", None),
        ("prepare q as select 1", "prepare", NameEffect("prepare", "q")),
        ('execute "Q"(1)', "execute", NameEffect("execute", "Q")),
        ("deallocate all", "deallocate", NameEffect("deallocate", None)),
        ("declare c cursor for select 1", "declare", NameEffect("declare", "c")),
        ("fetch 3 from c", "fetch", NameEffect("fetch", "c")),
        ("move c", "fetch", NameEffect("fetch", "c")),
        ("close c", "close", NameEffect("close", "c")),
        ("discard all", "discard", NameEffect("discard", None)),
        ("discard plans", "discard", None),
        ("copy t from stdin", "copy-in", None),
        ("copy t to stdout", "copy-out", None),
        ("create index on t (a)", "index", None),
    ],
)
def test_kinds_and_effects(text: str, kind: str, effect: NameEffect | None) -> None:
    (statement,) = read_message(text).statements
    assert (statement.kind, statement.effect) == (kind, effect)


def test_statements_keep_their_own_text_and_place() -> None:
    text = "select 'é;'; /* c */ delete from t ;"
    first, second = read_message(text).statements
    assert first.text == "select 'é;'"
    assert second.text.endswith("delete from t")
    assert text[second.position :].startswith(second.text)


def test_positions_count_characters_and_not_bytes() -> None:
    (statement,) = read_message("select 'ééé', pg_sleep(1)").statements
    assert statement.functions[0].position == len("select 'ééé', ") + 1


@pytest.mark.parametrize(
    ("text", "sqlstate", "position"),
    [
        ("selec 1", "42601", 1),
        ("select 1 +", "42601", None),
        ("select 'a\0b'", "22021", None),
        ("\ud800", "22021", None),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(text: str, sqlstate: str, position: int | None) -> None:
    with pytest.raises(StatementRefused) as refused:
        read_message(text)
    assert refused.value.fields()["C"] == sqlstate
    assert refused.value.position == position


PATHOLOGICAL = {
    "plus": "select " + "+".join(["1"] * 24_062),
    "casts": "select 1" + "::int" * 32_800,
    "unions": " union all ".join(["select 1"] * 15_600),
    "joins": "select 1 from t" + " join t on true" * 15_000,
    "concatenations": "select 'a'" + "||'a'" * 24_000,
    "parentheses": "select " + "(" * 20_000 + "1" + ")" * 20_000,
    "functions": "select " + "f(" * 20_000 + "1" + ")" * 20_000,
    "subselects": "select " + "(select " * 10_000 + "1" + ")" * 10_000,
    "not": "select " + "not " * 30_000 + "true",
    "case": "select " + "case when true then " * 8_000 + "1" + " end" * 8_000,
    "is null": "select 1" + " is null" * 27_800,
    "non-ascii": "select " + "a," * 40_000 + "'" + "é" * 40_000 + "'",
    "in": "select 1 where 1 in (" + ",".join(["1"] * 60_000) + ")",
    "and": "select 1 where " + " and ".join(["a"] * 30_000),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_no_text_ends_the_process_or_stalls_it(name: str) -> None:
    begun = time.perf_counter()
    judgement = assess(policy_of(), PATHOLOGICAL[name].encode(), 1 << 20)
    assert time.perf_counter() - begun < 3
    assert isinstance(judgement.allowed, bool)


def test_text_over_the_limit_is_refused_unread() -> None:
    judgement = assess(policy_of(), b"select 1 --" + b"x" * LIMIT, LIMIT)
    assert [violation.sqlstate for violation in judgement.violations] == ["54000"]


def test_text_that_is_not_utf8_is_refused() -> None:
    judgement = assess(policy_of(), b"select '\x95\\' ; select 1 --'", LIMIT)
    assert [violation.rule for violation in judgement.violations] == ["invalid-encoding"]
