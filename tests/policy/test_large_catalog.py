"""Statements that mean very much on a large server: judged or refused, with work that is bounded.

What a name leads to grows with the catalog, not with the text: parts of a table, overloads, wide rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from pgjit.judging.judge import assess
from pgjit.policy.load import load_policies
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Cast, Catalog, Column, Dependency, Function, Operator, QName, Relation, Type
from tests.fixtures.terms import terms
from tests.run.work import calls
from tests.sql.snapshots import stored_catalog

LARGE = 16 * 1024
MOST_CALLS = 3_000_000
"""Function calls for one message. None of these takes more than two thirds of it, a quarter of a second."""

PARTS, WIDE, OVERLOADS = 3000, 1500, 600

POLICY = """\
policy: writer
connection: shop
group: 11111111-1111-1111-1111-111111111111
grant: on-request
ttl: 30m
record: true
statements:
  access: read-write
  allow:
    - {kinds: [select], relations: ["public.*", "!public.secret*"]}
    - {kinds: [insert, update], columns: ["public.w0.*", "public.p.c1", "public.t*.c*"]}
    - {functions: [public.f]}
  deny:
    - {columns: ["*.*.email", "*.*.pass*", "*.password"]}
    - {relations: ["secret.*", "x.y"]}
  rules:
    limit-required: on
    where-required: on
    cartesian-product: on
"""


def _columns(count: int) -> tuple[Column, ...]:
    return tuple(Column(f"c{index}", "integer") for index in range(count))


def _relations() -> dict[str, Relation]:
    wide, parted, small = _columns(WIDE), _columns(200), _columns(30)
    found = {f"w{index}": Relation("r", wide) for index in range(300)}
    found |= {f"t{index}": Relation("r", small) for index in range(1000)}
    found |= {f"p{index}": Relation("r", parted, parents=(QName("public", "p"),)) for index in range(PARTS)}
    found["p"] = Relation("p", parted)
    names = tuple(column.name for column in small)
    for index in range(200):  # each reads the one before it
        before = f"v{index - 1}" if index else "t0"
        reads = (Dependency(QName("public", before), names), Dependency(QName("public", f"t{index}"), names))
        found[f"v{index}"] = Relation("v", small, reads=reads)
    return found


@pytest.fixture(scope="module")
def large() -> Catalog:
    stored = stored_catalog()
    own = {f"ty{index}": Type("b") for index in range(300)}
    functions = {
        name: tuple(
            Function(arguments=(f"public.ty{index % 300}",), returns=f"public.ty{(index + 1) % 300}")
            for index in range(OVERLOADS)
        )
        for name in ("f", "concat", "abs")
    }
    operators = {
        name: tuple(
            Operator(f"public.ty{index}", f"public.ty{index % 9}", QName("public", "f"), "public.ty7")
            for index in range(300)
        )
        for name in ("+", "||", "=")
    }
    casts = tuple(
        Cast(QName("public", f"ty{index}"), QName("public", f"ty{(index + 1) % 300}"), QName("public", "f"), "i")
        for index in range(300)
    )
    return dataclasses.replace(
        stored,
        relations={**stored.relations, "public": stored.relations["public"] | _relations()},
        functions={**stored.functions, "public": stored.functions.get("public", {}) | functions},
        operators={**stored.operators, "public": operators},
        types={**stored.types, "public": stored.types["public"] | own},
        casts=stored.casts + casts,
    )


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Policy]:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "writer.yaml").write_text(POLICY)
    own, faults = load_policies(folder)
    assert not faults
    return {**own, "reader": load_policies(Path(__file__).parents[2] / "policies")[0]["read-only"]}


def _many(unit: Callable[[int], str], count: int, separator: str = ", ") -> str:
    return separator.join(unit(index) for index in range(count))


def _nulls(index: int, count: int) -> str:
    return ", ".join("NULL" if index >> bit & 1 else "1" for bit in range(count))


_ALL_OF_P = _many(lambda i: f"c{i}", 200)
CASES = {
    "all of a table of many parts": "SELECT * FROM p",
    "columns of it": f"SELECT {_ALL_OF_P} FROM p",
    "columns of it, again and again": f"SELECT {_many(lambda i: f'p{i % 9}.c{i % 200}', 1400)} FROM "
    + _many(lambda i: f"p AS p{i}", 9),
    "a condition on it": f"DELETE FROM p WHERE {_many(lambda i: f'c{i} = 1', 200, ' OR ')}",
    "rows for it": f"INSERT INTO p ({_ALL_OF_P}) SELECT 1",
    "from it to it": "INSERT INTO p SELECT * FROM p",
    "a hundred times all of it": "SELECT * FROM p;" * 100,
    "a hundred times out of it": "DELETE FROM p;" * 100,
    "a lock": "LOCK p",
    "all of many wide tables": f"SELECT * FROM {_many(lambda i: f'w{i}', 290)}",
    "a wide table again and again": f"SELECT * FROM {_many(lambda i: f'w0 a{i}', 1500)}",
    "a system column of many": f"SELECT {_many(lambda i: '(SELECT ctid FROM (SELECT 1) x)', 200)} FROM "
    + _many(lambda i: f"t{i}", 800),
    "names in many": f"SELECT {_many(lambda i: f'c{i}', WIDE)} FROM {_many(lambda i: f'w{i}', 299)}",
    "columns from many": f"INSERT INTO w0 ({_many(lambda i: f'c{i}', WIDE)}) SELECT 1 FROM "
    + _many(lambda i: f"t{i}", 400),
    "beside many": f"SELECT 1 FROM {_many(lambda i: f't{i}', 800)}, "
    + _many(lambda i: f"LATERAL (SELECT c{i % 30}) l{i}", 250),
    "beside many parts": f"SELECT 1 FROM {_many(lambda i: f'p q{i}', 300)}, "
    + _many(lambda i: f"LATERAL (SELECT c{i % 200}) l{i}", 300),
    "a chain of wide queries": "WITH c0 AS (SELECT * FROM w0)"
    + "".join(f", c{i} AS (SELECT *, c1 x{i} FROM c{i - 1})" for i in range(1, 350)) + " SELECT * FROM c349",
    "a long union of wide tables": "TABLE w0" + " UNION TABLE w0" * 480,
    "deep views": "DELETE FROM v199;" * 100,
    "deep views, all of them": f"SELECT * FROM {_many(lambda i: f'v{i % 200} a{i}', 1200)}",
    "rows as values": f"SELECT {_many(lambda i: f'(a).c{i}', 1200)} FROM w0 a",
    "many tables at once": f"TRUNCATE {_many(lambda i: f't{i}', 1000)}",
    "one wide table at once": f"TRUNCATE {_many(lambda i: 'w0', 3500)}",
    "crossed joins": "SELECT * FROM t0" + "".join(f" CROSS JOIN t{i}" for i in range(1, 480)),
    "joins by a column": "SELECT * FROM t0" + "".join(f" JOIN t{i} USING (c1)" for i in range(1, 480)),
    "natural joins": "SELECT * FROM t0" + "".join(f" NATURAL JOIN t{i}" for i in range(1, 480)),
    "calls of many overloads": "SELECT 1" + "".join(f", f({_nulls(i, 1)}, {i})" for i in range(1000)),
    "calls of more": "SELECT 1" + "".join(f", concat({_nulls(i, 10)})" for i in range(270)),
    "operators of many types": "SELECT 1" + "".join(", 'a' + 'a' || NULL = f('b')" for _ in range(450)),
    "calls in calls": "SELECT " + "f(f('a')," * 200 + "NULL" + ")" * 200,
    "casts to many": "SELECT 1" + "".join(f", 1::ty{i % 300}" for i in range(1300)),
    "queries of many names": "SELECT " + "(SELECT c0 FROM t0 a, t1 b WHERE a.c0 = " * 60 + "(SELECT "
    + _many(lambda i: f"z{i}", 1900) + ")" + ")" * 60,
}  # fmt: skip


# The policy of the writer, with the catalog, has the most to find out. In each run: one case for each way through the
# resolver, the costliest of its kind. The others end at the same step, or take fewer calls on the same way.
SAMPLE = {
    "a condition on it", "columns of it, again and again", "a hundred times out of it",
    "a wide table again and again", "a system column of many", "names in many", "beside many",
    "deep views, all of them", "one wide table at once", "rows as values", "joins by a column", "calls of more",
    "operators of many types", "calls in calls", "casts to many", "queries of many names",
    "a long union of wide tables",
}  # fmt: skip
# And of the other policy, and of what is judged without a catalog.
OTHERS = {"deep views, all of them", "operators of many types"}


def _judgings() -> Iterator[ParameterSet]:
    for case, text in CASES.items():
        for name in ("reader", "writer"):
            for known in (True, False):
                always = case in (SAMPLE if known and name == "writer" else OTHERS if known else ())
                label = f"{case}-{name}-{'with the catalog' if known else 'without'}"
                yield pytest.param(text, name, known, id=label, marks=() if always else pytest.mark.slow)


@pytest.mark.parametrize(("text", "name", "known"), list(_judgings()))
def test_what_is_judged_on_the_event_loop_takes_so_many_calls_at_most(
    text: str, name: str, known: bool, large: Catalog, policies: dict[str, Policy]
) -> None:
    assert len(text) < LARGE
    judging = partial(assess, policies[name], text.encode(), LARGE, large if known else None)
    assert calls(judging) < MOST_CALLS


def test_what_means_too_much_is_refused_and_says_so(large: Catalog, policies: dict[str, Policy]) -> None:
    for text in ("SELECT * FROM p LIMIT 1", "SELECT c1 FROM p LIMIT 1;" * 20):
        violations = assess(policies["writer"], text.encode(), LARGE, large).violations
        assert [each.rule for each in violations][-1:] == ["unresolved-name"]
        assert "more than" in violations[-1].message
    assert assess(policies["writer"], b"SELECT c1, c2 FROM p WHERE c3 IS NULL LIMIT 1", LARGE, large).allowed
    assert assess(policies["reader"], b"SELECT * FROM w0, w1, w2, w3, w4, w5", LARGE, large).allowed


def test_of_a_table_of_many_parts_all_may_be_read_where_nobody_asks_for_the_columns_of_parts(
    large: Catalog, policies: dict[str, Policy]
) -> None:
    denying = dataclasses.replace(
        policies["reader"],
        statements=terms(deny=[{"columns": ["customers.email", "public.p7.c3"]}, {"relations": ["secret.*"]}]),
    )
    assert assess(policies["reader"], b"SELECT * FROM p", LARGE, large).allowed
    assert assess(denying, b"SELECT c1, c2 FROM p ORDER BY c4", LARGE, large).allowed
    for text in (b"SELECT * FROM p", b"SELECT c3 FROM p", b"SELECT c3 FROM p7", b"DELETE FROM p WHERE c3 = 1"):
        assert not assess(denying, text, LARGE, large).allowed
