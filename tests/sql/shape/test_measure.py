"""The shape of statements: what narrows a write, what bounds a result, what nothing joins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.sql.parse import read_message
from pgjit.sql.shape.shape import Shape
from tests.run.work import calls


def _shape(sql: str) -> Shape:
    return read_message(sql).statements[0].shape


@pytest.mark.parametrize(
    ("sql", "analyze"),
    [
        ("EXPLAIN SELECT 1", False), ("EXPLAIN ANALYZE SELECT 1", True), ("EXPLAIN (ANALYZE) SELECT 1", True),
        ("EXPLAIN (ANALYZE off) SELECT 1", False), ("EXPLAIN (ANALYZE 'false') SELECT 1", False),
        ("EXPLAIN (ANALYZE 0) SELECT 1", False), ("EXPLAIN (ANALYZE 1) SELECT 1", True),
        ("EXPLAIN (ANALYZE TRUE, ANALYZE off) SELECT 1", False), ("EXPLAIN (ANALYZE off, ANALYZE) SELECT 1", True),
        ("EXPLAIN (ANALYZE perhaps) SELECT 1", True), ("SELECT 1", False),
    ],
)  # fmt: skip
def test_whether_what_is_explained_is_run(sql: str, analyze: bool) -> None:
    assert _shape(sql).analyze == analyze


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("SELECT 1", []),
        ("INSERT INTO t VALUES (1)", []),
        ("DELETE FROM t", [("delete", 13, "no")]),
        ("UPDATE é SET a = 1 WHERE true", [("update", 8, "constant")]),
        ("DELETE FROM t WHERE a = 1", [("delete", 13, "yes")]),
        ("WITH x AS (DELETE FROM a RETURNING 1), y AS (UPDATE b SET c = 1 WHERE d) SELECT 1",
         [("delete", 24, "no"), ("update", 53, "yes")]),
    ],
)  # fmt: skip
def test_what_is_written_and_where_that_stands(sql: str, writes: list[tuple[str, int, str]]) -> None:
    found = _shape(sql).writes

    assert sorted((each.kind, each.position, each.narrowed) for each in found) == sorted(writes)


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("SELECT * FROM t", [("t", None)]),
        ("SELECT * FROM s.t LIMIT 3", [("s.t", 3)]),
        ("SELECT * FROM (SELECT * FROM t LIMIT 9) x LIMIT 3", [("t", 3)]),
        ("SELECT * FROM (SELECT * FROM t LIMIT 3) x LIMIT 9", [("t", 3)]),
        ("SELECT * FROM t WHERE a IN (SELECT b FROM u)", [("t", None)]),
        ("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT a FROM t) SELECT * FROM t", []),
        ("INSERT INTO t SELECT * FROM u", []),
        ("SELECT * FROM t LIMIT '5'::bigint", [("t", 5)]),
        ("SELECT * FROM t LIMIT -1", [("t", -1)]),
    ],
)
def test_what_a_result_is_made_of(sql: str, sources: list[tuple[str, int | None]]) -> None:
    assert [(".".join(each.relation), each.most) for each in _shape(sql).sources] == sources


def test_depth_grows_with_nesting_and_not_with_length() -> None:
    assert _shape("SELECT " + ", ".join("1" for _ in range(500))).depth == _shape("SELECT 1").depth
    assert _shape("SELECT (SELECT (SELECT 1))").depth > _shape("SELECT (SELECT 1)").depth


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (lambda n: "SELECT * FROM " + ", ".join(f"t{number}" for number in range(n)), 500),
        (
            lambda n: "SELECT * FROM " + ", ".join(f"t{i}" for i in range(n))
            + " WHERE " + " AND ".join(f"t{i}.a = t{i + 1}.a" for i in range(n - 2, -1, -1)), 400,
        ),
        (lambda n: "DELETE FROM t WHERE " + " OR ".join("a = 1" for _ in range(n)), 500),
        (lambda n: "SELECT * FROM a0 " + " ".join(f"JOIN a{number} USING (x)" for number in range(1, n)), 150),
        (
            lambda n: "SELECT * FROM t WHERE " + "EXISTS (SELECT 1 FROM a, b WHERE a.x = b.x AND t.y = a.y AND " * n
            + "true" + ")" * n, 40,
        ),
        (lambda n: " UNION ALL ".join("SELECT a, b, c, d FROM t, u" for _ in range(n)), 150),
    ],
    ids=["items", "joined items", "alternatives", "joins", "subqueries", "unions"],
)  # fmt: skip
def test_no_shape_takes_more_work_than_its_length_explains(text: Callable[[int], str], size: int) -> None:
    # So many parts that a call for each pair of them would show: a part takes some 100 to 1,000 calls.
    once, twice = (calls(partial(_shape, text(length))) for length in (size, 2 * size))
    assert twice < 2.3 * once


PARTS = st.recursive(
    st.sampled_from(["a = 1", "true", "a = a", "NOT b", "u.x = 1", "t.a = u.x", "a IS NULL", "$1", "false"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"(NOT {part})"),
    ),
    max_leaves=8,
)


@given(condition=PARTS)
def test_a_condition_with_true_beside_it_narrows_nothing(condition: str) -> None:
    assert _shape(f"DELETE FROM t WHERE {condition} OR true").writes[0].narrowed == "constant"
    assert _shape(f"DELETE FROM t WHERE NOT (false AND {condition})").writes[0].narrowed == "constant"
    assert _shape(f"DELETE FROM t WHERE {condition} AND id = 1").writes[0].narrowed == "yes"
