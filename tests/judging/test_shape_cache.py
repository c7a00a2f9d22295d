"""Remembered by shape: the judgement is the one that the text would have had anew, whatever its constants are."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.judging.judge import Judge, assess
from pgjit.judging.judgement import Judgement, without_facts
from pgjit.judging.shape_cache import ShapeCache
from pgjit.policy.policy import Mode, Policy, Preset
from pgjit.policy.redaction import Redaction
from pgjit.sql.catalog import Catalog
from pgjit.sql.constants import shape_of
from pgjit.sql.statement import Name
from tests.fixtures.terms import policy_of, terms
from tests.judging.constant_swaps import VALUES, swapped
from tests.sql.snapshots import stored_catalog

FIXTURES = Path(__file__).parents[1] / "fixtures"
LIMIT = 100_000
READ_ONLY = policy_of()
NARROW = replace(
    policy_of(),
    statements=terms(
        access="read-write",
        allow=[
            {"kinds": ["select", "insert", "update", "delete"], "relations": ["public.*", "sales.*", "s.*", "app.*"]},
            {"functions": ["pg_sleep", "nextval"]},
            {"settings": ["app.*"]},
        ],
        deny=[{"relations": ["payments"]}, {"columns": ["customers.email"]}],
        rules={"limit-required": True, "cartesian-product": True},
    ),
)  # fmt: skip
OPEN = replace(policy_of(), statements=terms(access="read-write", rules={"limit-required": True}))
OBSERVING = replace(OPEN, mode=Mode.OBSERVE)
MASKED = replace(policy_of(Preset.READ_WRITE), record="statements")
POLICIES = {"read-only": READ_ONLY, "narrow": NARROW, "open": OPEN, "observing": OBSERVING, "masked": MASKED}

DECIDING = """
    SELECT * FROM orders LIMIT 10
    SELECT * FROM orders LIMIT 10 OFFSET 5
    SELECT * FROM orders FETCH FIRST 10 ROWS ONLY
    SELECT * FROM orders WHERE 1 = 1
    DELETE FROM orders WHERE 1 = 1
    DELETE FROM orders WHERE id = 5 OR 2 = 2
    DELETE FROM orders WHERE name LIKE 'x'
    DELETE FROM orders WHERE length(name) >= 1
    UPDATE orders SET total = 5 WHERE id IN (1, 2, 3)
    SELECT set_config('app.x', 'y', true)
    SELECT set_config('search_path', 'x', false), 5
    SELECT current_setting('work_mem'), 5
    SELECT * FROM pg_settings WHERE name = 'work_mem'
    SELECT nextval('s'), pg_sleep(5), to_regclass('pg_class')
    SELECT pg_input_is_valid('a', 'b')
    SELECT string_agg(name, ','), 'a,b,c,d,e' FROM customers
    WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT n FROM t
    SELECT * FROM orders ORDER BY 1 LIMIT 5
    SELECT -5, - 5, 5 - 5, +5, 1.5, 9999999999, 'x' FROM orders
    INSERT INTO orders (id, name) VALUES (1, 'a'), (2, 'b')
    SELECT interval '1 day', date '2024-01-31', CAST('5' AS int), CAST(5 AS varchar(10)) FROM orders
    SELECT x.y FROM (VALUES (1, 'a')) x(y, z) WHERE z = 'b'
    SELECT extract('year' FROM now()), substring('abc' FROM 1 FOR 2), json_each('[1]')
""".strip().splitlines()


def corpus() -> Iterator[str]:
    yield from (line.strip() for line in DECIDING)
    for line in (FIXTURES / "everyday" / "battery.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("|", 3)[3]
    for line in (FIXTURES / "redteam" / "read-only.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line).get("sql", "")
    for file in [FIXTURES / "everyday" / "queries.sql", *sorted((FIXTURES / "tools").glob("*.sql"))]:
        for paragraph in file.read_text("utf-8").split("\n\n"):
            yield "\n".join(line for line in paragraph.splitlines() if not line.startswith("--"))


@cache
def shaped() -> tuple[str, ...]:
    """Those that have a shape."""
    return tuple(sorted({sql for sql in corpus() if shape_of(sql.encode("utf-8", "surrogatepass")) is not None}))


def placeless(judgement: Judgement) -> object:
    """What two judgements of one text have to have in common: all but the positions of names."""
    plain = []
    for one in judgement.statements:
        names: dict[str, Any] = {
            each: tuple(Name(name.parts) for name in getattr(one, each))
            for each in ("functions", "relations", "targets", "types", "unread_types", "operators")
        }
        plain.append((replace(one, **names), one.summary))
    return replace(judgement, statements=(), judge_number=0), plain


def check(policy: Policy, catalog: Catalog | None, sql: bytes, random: Random) -> int:
    """Judge `sql`, then texts of its shape. Returns how many were remembered."""
    judge, shape, remembered = Judge(policy, limit=LIMIT, catalog=catalog), shape_of(sql), 0
    for text in (sql, *(swapped(shape, random) for _ in range(2) if shape)):
        fresh = without_facts(assess(policy, text, LIMIT, catalog))
        before = judge.remembered
        judged = judge(text)
        remembered += judge.remembered - before
        assert placeless(fresh) == placeless(judged), text
        pickle.dumps(judged)  # it holds no constant that was withheld
    return remembered


def check_all(name: str, known: bool, most: int) -> None:
    random, catalog = Random(name), stored_catalog() if known else None
    texts = [*DECIDING, *random.sample(shaped(), most)]
    remembered = sum(check(POLICIES[name], catalog, sql.strip().encode(), random) for sql in texts)
    assert remembered > (0 if known else 5)  # most tables of the corpus are not in the stored catalog


@pytest.mark.parametrize(("name", "known"), [("read-only", False), ("narrow", True), ("observing", False)])
def test_with_other_constants_a_statement_is_judged_as_it_would_be_anew(name: str, known: bool) -> None:
    check_all(name, known, 15)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("known", [False, True])
def test_all_statements_are_judged_with_other_constants_as_they_would_be_anew(name: str, known: bool) -> None:
    check_all(name, known, len(shaped()))


TABLED = (  # what is fixed around two constants
    "SELECT {} FROM orders WHERE id = {}", "DELETE FROM orders WHERE {} = {}",
    "DELETE FROM orders WHERE id = {} OR {}",
    "UPDATE orders SET total = {} WHERE name LIKE {}", "SELECT * FROM orders LIMIT {} OFFSET {}",
    "SELECT set_config({}, {}, false)", "SELECT current_setting({}), {}", "SELECT {} IN ({}, 5) FROM orders",
    "INSERT INTO orders (id, name) VALUES ({}, {})", "SELECT to_regclass({}), -{} FROM orders",
    "SELECT x FROM generate_series({}, {}) x", "DELETE FROM orders WHERE ({})::text = {}",
    "SELECT * FROM orders ORDER BY {}, name || {}", "WITH t AS (SELECT {} a LIMIT 5) SELECT * FROM t WHERE a < {}",
)  # fmt: skip
constants = st.sampled_from([value for values in VALUES.values() for value in values])


@given(st.sampled_from(TABLED), constants, constants, st.sampled_from(["open", "masked"]), st.randoms())
def test_any_two_constants_decide_as_they_would_anew(
    text: str, first: str, second: str, name: str, random: Random
) -> None:
    check(POLICIES[name], None, text.format(first, second).encode(), random)


# --- which constants were looked at ---


def judged(sql: str, policy: Policy = OPEN) -> Judgement:
    return Judge(policy, limit=LIMIT)(sql.encode())


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT * FROM public.orders WHERE id = 5 LIMIT 1", (1,)),
        ("SELECT id FROM public.orders WHERE id = 5 AND name = 'x' LIMIT 10 OFFSET 20", (2, 3)),
        ("INSERT INTO public.orders VALUES (1, 'a', -2.5)", ()),
        ("UPDATE public.orders SET total = 7 WHERE id = 5", ()),
        ("DELETE FROM public.orders WHERE name LIKE 'x'", None),
        ("DELETE FROM public.orders WHERE 1 = 2 AND id = 3", None),
        ("SELECT current_setting('server_version'), 5", None),
        ("SELECT 1; SELECT 2", None),
        ("EXPLAIN (COSTS 1) SELECT * FROM public.orders LIMIT 5", None),
        ("SELECT count(*) FROM public.orders WHERE name = 'a&b'", None),
        ("SELECT count(*) FROM public.orders WHERE id = 5 AND id < 1e3", None),
    ],
)
def test_the_judgement_has_the_constants_that_decided(sql: str, read: tuple[int, ...] | None) -> None:
    assert (judged(sql).violations, judged(sql).constants_read) == ((), read)


def test_a_limit_on_the_length_looks_at_every_constant() -> None:
    policy = replace(policy_of(), statements=terms(rules={"statement-size": {"at_most": 40}}))
    judge = Judge(policy, limit=LIMIT)
    assert judge(b"SELECT 'short'").allowed
    assert not judge(b"SELECT '" + b"x" * 40 + b"'").allowed


def test_a_message_longer_than_the_limit_is_not_found_by_its_shape() -> None:
    judge = Judge(READ_ONLY, limit=20)
    assert judge(b"SELECT 1").allowed
    assert not judge(b"SELECT 1000000000000").allowed or len(b"SELECT 1000000000000") <= 20
    assert not judge(b"SELECT 'xxxxxxxxxxxxxxxxx'").allowed


def test_what_is_redacted_depends_on_the_constants() -> None:
    policy = replace(READ_ONLY, redaction=Redaction(patterns=("x+",)))
    judge = Judge(policy, limit=LIMIT)
    assert judge(b"SELECT 'a', 5").constants_read is None
    assert judge(b"SELECT 'xx', 5").statements[0].summary != judge(b"SELECT 'b', 6").statements[0].summary
    assert judge.remembered == 0


# --- what is remembered ---


@pytest.mark.parametrize("value", ["a--b", "/* a", "*/", "--", "a /* b */ -- c"])
def test_what_begins_a_comment_elsewhere_is_a_value_in_a_constant_of_a_known_shape(value: str) -> None:
    judge, text = Judge(READ_ONLY, limit=LIMIT), "SELECT name FROM orders WHERE name = '{}' AND id = 5"
    judge(text.format("x").encode())
    sql = text.format(value).encode()
    assert placeless(judge(sql)) == placeless(without_facts(assess(READ_ONLY, sql, LIMIT)))
    assert judge.remembered == 1


@pytest.mark.parametrize(
    "sql", [b"SELECT \0i\0 + 5", b"SELECT 5 + \0i\0", b"SELECT 5 + 6 -- 7", b"SELECT 5 + $$a$$", b"SELECT\xa05 + 6"]
)
def test_no_other_text_has_a_shape_that_is_known(sql: bytes) -> None:
    judge = Judge(READ_ONLY, limit=LIMIT)
    judge(b"SELECT 5 + 6")
    assert judge(b"SELECT 7 + 8").allowed
    judge(sql)
    assert judge.remembered == 1


def test_the_texts_are_those_of_the_statement_itself() -> None:
    judge = Judge(READ_ONLY, limit=LIMIT)
    judge(b"  SELECT 'a', 5 ; ")
    found = judge.judge_inline(b"  SELECT 'other', 70000 ; ")
    assert judge.remembered == 1
    assert found is not None
    assert (found.text, found.statements[0].text) == ("  SELECT 'other', 70000 ; ", "SELECT 'other', 70000")
    assert found.statements[0].position == 2
    assert found.judge_number == judge.number


@pytest.mark.parametrize("before", ["", "text "])
def test_the_normalised_text_of_a_record_has_no_constant_of_another_text(before: str) -> None:
    text = (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) CYCLE n SET c TO {0}'{1}' DEFAULT {0}'n' USING p"
        " SELECT n FROM t WHERE n = 5"
    )
    judge = Judge(READ_ONLY, limit=LIMIT)
    judge(text.format(before, "first").encode())
    (found,) = judge(text.format(before, "second").encode()).statements
    assert found.summary is not None
    assert "'second'" in (found.summary.normalised or "")  # libpg_query leaves it there
    assert judge.remembered == 0


def test_what_is_refused_is_judged_anew() -> None:
    judge = Judge(READ_ONLY, limit=LIMIT)
    first, second = judge(b"DELETE FROM t WHERE id = 5"), judge(b"DELETE FROM t WHERE id = 7777")
    assert not first.allowed
    assert not second.allowed
    assert second.text == "DELETE FROM t WHERE id = 7777"
    assert judge.remembered == 0


def test_what_is_only_observed_is_judged_anew() -> None:
    judge = Judge(OBSERVING, limit=LIMIT)
    first, second = judge(b"SELECT id FROM payments WHERE id = 5"), judge(b"SELECT id FROM payments WHERE id = 6")
    assert first.observed
    assert second.observed
    assert judge.remembered == 0


def test_another_policy_or_catalog_has_a_judge_and_a_cache_of_its_own() -> None:
    assert Judge(READ_ONLY, limit=LIMIT)(b"SELECT id FROM app.t WHERE id = 5").allowed
    assert not Judge(NARROW, limit=LIMIT)(b"SELECT id FROM elsewhere.t WHERE id = 6").allowed


def test_a_judgement_of_a_worker_is_remembered_as_well() -> None:
    judge, sql = Judge(READ_ONLY, limit=LIMIT), b"SELECT " + b"1, " * 60 + b"1"
    assert judge.judge_inline(sql) is None
    judge.cache(sql, without_facts(assess(READ_ONLY, sql, LIMIT, shape=shape_of(sql))))
    assert judge.judge_inline(sql.replace(b"1", b"22")) is not None


def test_the_cache_is_bounded_in_shapes_and_in_values() -> None:
    judge = Judge(READ_ONLY, limit=LIMIT)
    cache = ShapeCache(most=4)
    for name in "abcdefgh":
        for rows in range(20):
            sql = f"SELECT {name} FROM t WHERE id = 5 LIMIT {rows}".encode()
            cache.add(sql, judge(sql))
    assert len(cache) == 4
    assert cache.find(b"SELECT h FROM t WHERE id = 6 LIMIT 19") is not None
    assert cache.find(b"SELECT h FROM t WHERE id = 6 LIMIT 2") is None
    assert cache.find(b"SELECT a FROM t WHERE id = 6 LIMIT 19") is None
