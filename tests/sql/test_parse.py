"""What is known of a statement, and what becomes of text that cannot be read."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial

import pytest

from pgjit.errors import StatementRefused
from pgjit.sql.parse import read_message
from pgjit.sql.shape.shape import SHAPELESS
from pgjit.sql.statement import Argument, Name, NameEffect, Setting, Statement
from tests.run.work import calls


def _one(sql: str) -> Statement:
    (statement,) = read_message(sql).statements
    return statement


@pytest.mark.parametrize("sql", ["", ";", " ; ;; ", "-- nothing", "/* nothing */"])
def test_text_without_statements_is_an_empty_message(sql: str) -> None:
    assert read_message(sql).statements == ()


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "select"), ("VALUES (1)", "select"), ("TABLE t", "select"), ("EXPLAIN SELECT 1", "explain"),
        ("SHOW x", "show"), ("SET x = 1", "set"), ("RESET x", "set"), ("BEGIN", "transaction"),
        ("DECLARE c CURSOR FOR SELECT 1", "declare"), ("FETCH c", "fetch"), ("MOVE c", "fetch"), ("CLOSE c", "close"),
        ("PREPARE p AS SELECT 1", "prepare"), ("EXECUTE p", "execute"), ("DEALLOCATE p", "deallocate"),
        ("COPY t TO STDOUT", "copy-out"), ("COPY t FROM STDIN", "copy-in"), ("DISCARD ALL", "discard"),
        ("INSERT INTO t VALUES (1)", "insert"), ("CREATE TABLE t ()", "create-table"), ("DROP TABLE t", "drop-table"),
        ("CREATE TABLE t AS SELECT 1", "create-table-as"), ("ALTER SYSTEM SET x = 1", "alter-system"),
        ("DO ''", "do"),
    ],
)  # fmt: skip
def test_each_statement_has_a_kind(sql: str, kind: str) -> None:
    assert _one(sql).kind == kind


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("PREPARE p AS SELECT 1", NameEffect("prepare", "p")),
        ("EXECUTE p(1)", NameEffect("execute", "p", (Argument("1"),))),
        ('EXECUTE "P"', NameEffect("execute", "P")),
        (
            "/* é */ EXECUTE p(-1.5, 'it''s', NULL, true, now(), ARRAY['a, b', f(1, 2)], '1'::int)",
            NameEffect(
                "execute",
                "p",
                (
                    *map(Argument, ("-1.5", "it's", None, "true")),
                    *(Argument(text, constant=False) for text in ("now()", "ARRAY['a, b', f(1, 2)]", "'1'::int")),
                ),
            ),
        ),
        ("EXPLAIN EXECUTE p", NameEffect("execute", "p", around=True)),
        ("EXPLAIN (ANALYZE) EXECUTE p(1)", NameEffect("execute", "p", (Argument("1"),), around=True)),
        ("CREATE TABLE t(a) AS EXECUTE p(1)", NameEffect("execute", "p", (Argument("1"),), around=True)),
        ("EXPLAIN CREATE TABLE t AS EXECUTE p", NameEffect("execute", "p", around=True)),
        ("EXPLAIN DECLARE c CURSOR FOR SELECT 1", None),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", NameEffect("declare", "c", hold=True)),
        ("DO $$ BEGIN EXECUTE 'DEALLOCATE x'; END $$", NameEffect("anything", None)),
        ("DO LANGUAGE plpython3u 'x'", NameEffect("anything", None)),
        ("DO $$ BEGIN INSERT INTO t VALUES (1); END $$", None),
        ("DEALLOCATE p", NameEffect("deallocate", "p")),
        ("DEALLOCATE ALL", NameEffect("deallocate", None)),
        ('DEALLOCATE "all"', NameEffect("deallocate", "all")),
        ("DECLARE c CURSOR FOR SELECT 1", NameEffect("declare", "c")),
        ("FETCH 1 FROM c", NameEffect("fetch", "c")),
        ("MOVE c", NameEffect("fetch", "c")),
        ("CLOSE c", NameEffect("close", "c")),
        ("CLOSE ALL", NameEffect("close", None)),
        ("DISCARD ALL", NameEffect("discard", None)),
        ("SELECT 1", None),
    ],
)
def test_what_a_statement_does_to_names(sql: str, effect: NameEffect | None) -> None:
    assert _one(sql).effect == effect


def test_a_statement_has_its_own_slice_of_the_text() -> None:
    text = "  SELECT 'é;' ; -- c;\n DELETE FROM é WHERE 'ß' = s.f();"

    first, second = read_message(text).statements

    assert (first.text, first.position) == ("SELECT 'é;'", 2)
    assert (second.index, second.kind) == (1, "delete")
    assert text[second.position :].startswith(second.text)
    assert second.text.endswith("s.f()")
    (function,) = second.functions
    assert function.position == text.index("s.f") + 1


@pytest.mark.parametrize("filling", ["x", "é", "𝄞", "éx𝄞ß"])
def test_positions_count_characters(filling: str) -> None:
    text = f"SELECT '{filling}', s.f(), \"{filling}\".g(), '{filling}'::s.t FROM \"{filling}\".r"

    statement = _one(text)

    found = [*statement.functions, *statement.types, *statement.relations]
    starts = [text.index("s.f"), text.index(f'"{filling}".g'), text.index("s.t"), text.index(f'"{filling}".r')]
    assert [name.position for name in found] == [start + 1 for start in starts]


def test_names_are_collected_at_any_depth_once_and_in_order() -> None:
    statement = _one("SELECT b(a(1)), a(2) FROM s.t, (SELECT c() FROM u WHERE x IN (SELECT d FROM s.t)) v")

    assert [name.text for name in statement.functions] == ["b", "a", "c"]
    assert [name.text for name in statement.relations] == ["s.t", "u"]


def test_facts_of_a_statement_that_writes_inside() -> None:
    statement = _one("EXPLAIN WITH x AS (UPDATE s.t SET a = 1 RETURNING 1) SELECT 1 + 1 FROM x FOR SHARE")

    assert set(statement.inner) == {"update", "select"}
    assert [name.text for name in statement.targets] == ["s.t"]
    assert [name.text for name in statement.operators] == ["+"]
    assert statement.locking
    assert not statement.into


@pytest.mark.parametrize(
    ("sql", "setting"),
    [
        ("SET TimeZone = 'UTC'", Setting("timezone", True)),
        ("SET SESSION AUTHORIZATION DEFAULT", Setting("session_authorization", True)),
        ("RESET ALL", Setting(None, True, everything=True)),
        ('SET "all" = 1', Setting("all", True)),
        ("SELECT set_config('A', 'b', false)", Setting("a", True, 8)),
        ("SELECT set_config('a' || '', 'b', false)", Setting(None, False, 8)),
        ("SELECT set_config(new_value => 'a', setting_name => 'b', is_local => true)", Setting(None, False, 8)),
        ("SELECT pg_catalog.set_config(NULL, 'b', true)", Setting(None, False, 8)),
    ],
)
def test_settings_that_are_set(sql: str, setting: Setting) -> None:
    (found,) = _one(sql).settings

    assert (found.name, found.constant, found.everything) == (setting.name, setting.constant, setting.everything)
    if setting.position is not None:
        assert found.position == setting.position


@pytest.mark.parametrize(
    ("parts", "builtin"),
    [(("abs",), "abs"), (("pg_catalog", "abs"), "abs"), (("s", "abs"), None), (("db", "pg_catalog", "abs"), None)],
)
def test_a_name_is_builtin_without_schema_or_in_pg_catalog(parts: tuple[str, ...], builtin: str | None) -> None:
    assert Name(parts).builtin == builtin


@pytest.mark.parametrize(
    ("sql", "sqlstate", "reference", "position"),
    [
        ("SELEC 1", "42601", "syntax-error", 1),
        ("SELECT 'é' FROM t WHERE x y z", "42601", "syntax-error", 27),
        ("SELECT 'x", "42601", "syntax-error", 8),
        ("SELECT", None, None, None),  # legal: no columns
        ("BASE_BACKUP", "42601", "syntax-error", 1),
        ("SELECT 1\0; DROP TABLE x", "22021", "invalid-encoding", None),
        ("SELECT '\ud800'", "22021", "invalid-encoding", None),
    ],
)
def test_what_does_not_parse_is_refused_at_its_place(
    sql: str, sqlstate: str | None, reference: str | None, position: int | None
) -> None:
    if sqlstate is None:
        assert len(read_message(sql).statements) == 1
        return
    with pytest.raises(StatementRefused) as refused:
        read_message(sql)

    assert refused.value.fields()["C"] == sqlstate
    assert refused.value.reference == reference
    assert refused.value.position == position


def test_a_show_of_pgjit_in_company_is_told_to_come_alone() -> None:
    with pytest.raises(StatementRefused) as refused:
        read_message("SELECT 1; SHOW pgjit.window")

    assert refused.value.hint is not None
    assert "a message of its own" in refused.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT " + "+".join(["1"] * 24_100), id="a chain of operators"),
        pytest.param("SELECT " + "+".join(["1"] * 1_000), id="a shorter chain"),
        pytest.param("SELECT 1" + "::int" * 33_000, id="casts"),
        pytest.param(" UNION ALL ".join(["SELECT 1"] * 15_600), id="unions"),
        pytest.param("SELECT * FROM t" + " JOIN t ON true" * 24_000, id="joins"),
        pytest.param("SELECT " + "||".join(["a"] * 24_000), id="concatenations"),
        pytest.param("SELECT a" + ' COLLATE "C"' * 32_800, id="collations"),
        pytest.param("SELECT a" + " IS NULL" * 27_800, id="null tests"),
        pytest.param("SELECT " + "(" * 50_000 + "1" + ")" * 50_000, id="parentheses"),
        pytest.param("SELECT " + "f(" * 5_000 + ")" * 5_000, id="calls"),
        pytest.param("SELECT " + "NOT " * 50_000 + "true", id="negations"),
        pytest.param("SELECT " + "ARRAY[" * 5_000 + "1" + "]" * 5_000, id="arrays"),
        pytest.param("SELECT " + "(SELECT " * 1_000 + "1" + ")" * 1_000, id="subselects"),
        pytest.param("SELECT " + "CASE WHEN true THEN " * 5_000 + "1" + " END" * 5_000, id="cases"),
    ],
)
def test_nesting_without_end_is_refused_before_anybody_walks_it(sql: str) -> None:
    def read() -> None:
        read_message(sql)

    with pytest.raises(StatementRefused) as refused:
        assert calls(read) < 100 + len(sql) / 10

    assert refused.value.fields()["C"] == "54001"
    assert refused.value.reference == "statement-too-deep"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda n: "SELECT " + "a," * n + "'ééé'", id="names before wide characters"),
        pytest.param(lambda n: "SELECT " + "é(1)," * (n // 2) + "1", id="calls between wide characters"),
        pytest.param(lambda n: "SELECT 1 WHERE a IN (" + "1," * n + "1)", id="a long list"),
        pytest.param(lambda n: "SELECT 1 WHERE a" + " AND b" * n, id="a long conjunction"),
        pytest.param(lambda n: "SELECT '" + "é" * 25 * n + "'", id="a long literal"),
        pytest.param(lambda n: ";".join(["SELECT 1"] * (n // 4)), id="many statements"),
    ],
)
def test_a_large_statement_takes_work_that_grows_with_its_size(text: Callable[[int], str]) -> None:
    def read(sql: str) -> None:
        assert read_message(sql).statements

    # A call for each pair of parts would be thirty times what these many take.
    once, twice = (calls(partial(read, text(size))) for size in (600, 1_200))
    assert twice < 2.2 * once + 100
    assert twice < 120 * len(text(1_200))


def test_depth_that_the_server_takes_is_read() -> None:
    assert _one("SELECT " + "+".join(["1"] * 400)).kind == "select"


def test_facts_travel_between_processes() -> None:
    message = read_message("PREPARE p AS SELECT s.f('é'::s.t) FROM t; SET TimeZone = 'UTC'; UPDATE t SET a = 1 + 1")

    for each in message.statements:
        each.shape = SHAPELESS  # it reads the tree when it is looked at, and stays where it was made
    assert pickle.loads(pickle.dumps(message)) == message
