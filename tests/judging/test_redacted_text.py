"""What records have of a text under `redact`: no value that may belong to a redacted column, and all others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.judging.judge import Judgement, assess
from pgjit.judging.redacted_text import HIDDEN_TEXT
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Policy, Preset
from pgjit.policy.redaction import Redaction
from pgjit.sql.catalog import Catalog, Column, Dependency, QName, Relation
from pgjit.sql.statement import RedactedText, StatementSummary
from tests.fakes.policies import policy

SHOP = Catalog.from_json((Path(__file__).parents[2] / "policies" / "shop.catalog.json").read_bytes())
COLUMNS = Redaction(columns=Patterns.of(["public.customers.email"], 2, 3))
CARDS = Redaction(patterns=("[0-9]{13,16}",))

COPIED = "ON CONFLICT (id) DO UPDATE SET email = lower(excluded.name), city = excluded.city"


def with_more(catalog: Catalog) -> Catalog:
    """With a view of the redacted column under another name, and a column that is generated from it."""
    customers = catalog.relations["public"]["customers"]
    view = Relation("v", (Column("who"),), reads=(Dependency(QName("public", "customers"), ("email",)),))
    derived = replace(customers, columns=(*customers.columns, Column("domain", "text", made_of=("email",))))
    more = {**catalog.relations["public"], "mails": view, "customers": derived}
    return replace(catalog, relations={**catalog.relations, "public": more})


CATALOG = with_more(SHOP)


def judged(sql: str, redaction: Redaction = COLUMNS, preset: Preset = Preset.READ_WRITE, **of: object) -> Judgement:
    under: Policy = replace(policy(preset=preset), redaction=redaction, **of)  # type: ignore[arg-type]
    return assess(under, sql.encode(), 1 << 20, CATALOG)


def summary(sql: str, redaction: Redaction = COLUMNS, preset: Preset = Preset.READ_WRITE) -> StatementSummary:
    found = judged(sql, redaction, preset).statements[0].summary
    assert found is not None
    return found


def redacted(sql: str, redaction: Redaction = COLUMNS, preset: Preset = Preset.READ_WRITE) -> RedactedText:
    found = summary(sql, redaction, preset).redacted
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sql", "expected", "values"),
    {
        "compared, and others of the table": (
            "SELECT * FROM customers c WHERE c.email = 'a@b' AND c.id = 7 AND name IN ('x', 'y') LIMIT 5 -- a@b",
            "SELECT * FROM customers c WHERE c.email = '[redacted 1]' AND c.id = 7 AND name IN ('x', 'y') LIMIT 5",
            (b"a@b",),
        ),
        "inserted into another column, from which it is copied": (
            f"INSERT INTO customers (id, name, city) VALUES (7, 'a@b', 'x') {COPIED}",
            f"INSERT INTO customers (id, name, city) VALUES (7, '[redacted 1]', 'x') {COPIED}",
            (b"a@b",),
        ),
        "in a quote that is not ASCII": (
            "SELECT * FROM customers WHERE email = $é$ $x$ a@b $x$ $é$",
            HIDDEN_TEXT,
            (b"SELECT * FROM customers WHERE email = $\xc3\xa9$ $x$ a@b $x$ $\xc3\xa9$",),
        ),
        "assigned": (
            "UPDATE customers SET email = 'é@b', name = 'N' WHERE id = -5",
            "UPDATE customers SET email = '[redacted 1]', name = 'N' WHERE id = -5",
            ("é@b".encode(),),
        ),
        "inserted": (
            "INSERT INTO customers (id, email) VALUES (1, 'o''x'), (2, $1)",
            "INSERT INTO customers (id, email) VALUES (1, '[redacted 1]'), (2, $1)",
            (b"o'x",),
        ),
        "inserted without names": (
            "INSERT INTO customers VALUES (1, 'n')",
            "INSERT INTO customers VALUES ('[redacted 1]', '[redacted 2]')",
            (b"1", b"n"),
        ),
        "under another name": (
            "SELECT 1 FROM (SELECT email AS x, id FROM customers) s WHERE x = 'a'",
            "SELECT '[redacted 1]' FROM (SELECT email AS x, id FROM customers) s WHERE x = '[redacted 2]'",
            (b"1", b"a"),
        ),
        "names of columns changed": (
            "SELECT * FROM customers AS c (name, x, id) WHERE c.id = 'a'",
            "SELECT * FROM customers AS c (name, x, id) WHERE c.id = '[redacted 1]'",
            (b"a",),
        ),
        "the whole row": (
            "SELECT * FROM customers city WHERE city = '(1,a)'",
            "SELECT * FROM customers city WHERE city = '[redacted 1]'",
            (b"(1,a)",),
        ),
        "through a view": (
            "SELECT * FROM mails WHERE who = 'a'", "SELECT * FROM mails WHERE who = '[redacted 1]'", (b"a",),
        ),
        "generated from it": (
            "SELECT id FROM customers WHERE domain = 'b'",
            "SELECT id FROM customers WHERE domain = '[redacted 1]'", (b"b",),
        ),
        "inside a function": (
            "SELECT id FROM customers WHERE lower(email) = 'a' AND name = lower('N')",
            "SELECT id FROM customers WHERE lower(email) = '[redacted 1]' AND name = lower('[redacted 2]')",
            (b"a", b"N"),
        ),
        "explained": (
            "EXPLAIN SELECT id FROM customers WHERE email = 'a'",
            "EXPLAIN SELECT id FROM customers WHERE email = '[redacted 1]'",
            (b"a",),
        ),
        "samples of values": (
            "SELECT 1 FROM pg_stats WHERE most_common_vals::text = 'a'",
            "SELECT '[redacted 1]' FROM pg_stats WHERE most_common_vals::text = '[redacted 2]'",
            (b"1", b"a"),
        ),
        "an unknown function": ("SELECT nope('a')", "SELECT nope('[redacted 1]')", (b"a",)),
        "an EXECUTE that is refused": ("EXECUTE p('a')", "EXECUTE p('[redacted 1]')", (b"a",)),
        "inside EXPLAIN": ("EXPLAIN EXECUTE p('a')", "EXPLAIN EXECUTE p('[redacted 1]')", (b"a",)),
        "of a condition of COPY": (
            "COPY customers FROM STDIN WHERE email <> 'a'",
            "COPY customers FROM STDIN WHERE email <> '[redacted 1]'",
            (b"a",),
        ),
        "a default": (
            "ALTER TABLE customers ALTER email SET DEFAULT 'a'",
            "ALTER TABLE customers ALTER email SET DEFAULT '[redacted 1]'",
            (b"a",),
        ),
        "a comment on it": (
            "COMMENT ON COLUMN public.customers.email IS 'a'",
            "COMMENT ON COLUMN public.customers.email IS '[redacted 1]'",
            (b"a",),
        ),
        "a partition of it": (
            "CREATE TABLE cx PARTITION OF customers FOR VALUES IN ('a')",
            "CREATE TABLE cx PARTITION OF customers FOR VALUES IN ('[redacted 1]')",
            (b"a",),
        ),
        "a function's body": (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '[redacted 1]'",
            (b"SELECT 1",),
        ),
        "a DO block": ("DO $$ BEGIN END $$", "DO '[redacted 1]'", (b"$$ BEGIN END $$",)),
        "a message to others": ("NOTIFY c, 'a'", "NOTIFY c, '[redacted 1]'", (b"a",)),
        "a merge": (
            "MERGE INTO customers USING orders ON email = 'a' WHEN MATCHED THEN DO NOTHING",
            "MERGE INTO customers USING orders ON email = '[redacted 1]' WHEN MATCHED THEN DO NOTHING",
            (b"a",),
        ),
        "a list of rows": (
            "SELECT id FROM customers WHERE (id, email) IN ((7, 'a'))",
            "SELECT id FROM customers WHERE (id, email) IN (('[redacted 1]', '[redacted 2]'))",
            (b"7", b"a"),
        ),
        "the other way round": (
            "SELECT 'a' = email FROM customers", "SELECT '[redacted 1]' = email FROM customers", (b"a",),
        ),
        "a table without one": (
            "SELECT * FROM orders WHERE id = 7 AND status = 'a@b'",
            "SELECT * FROM orders WHERE id = 7 AND status = 'a@b'", (),
        ),
    }.values(),
)  # fmt: skip
def test_values_of_a_redacted_column_are_left_out(sql: str, expected: str, values: tuple[bytes, ...]) -> None:
    found = redacted(sql)
    assert (expected, values) == (found.text, found.values)


def test_parameters_stay_only_where_each_use_is_of_another_column() -> None:
    found = redacted("SELECT * FROM customers WHERE id = $1 AND (email = $2 OR name = $2) AND city = $3 LIMIT $4")
    assert found.touches
    assert found.open_parameters == {1, 3, 4}
    assert not redacted("SELECT * FROM orders WHERE id = $1").touches


def test_nothing_is_certain_without_a_catalog_or_under_full_access() -> None:
    sql = "SELECT * FROM orders WHERE id = 7"
    assert redacted(sql, preset=Preset.FULL).text == "SELECT * FROM orders WHERE id = '[redacted 1]'"
    under = replace(policy(), redaction=COLUMNS)
    found = assess(under, sql.encode(), 1 << 20, None).statements[0].summary
    assert found is not None
    assert found.redacted is not None
    assert found.redacted.text == "SELECT * FROM orders WHERE id = '[redacted 1]'"


@pytest.mark.parametrize(
    ("sql", "expected"),
    {
        "in a text": ("SELECT 'tel 4111111111111111.'", "SELECT 'tel [redacted 1].'"),
        "a number": ("SELECT 14111111111111111, 7", "SELECT '[redacted 1]', 7"),
        "in a comment": ("SELECT 1 -- é 4111111111111111", "SELECT 1 -- é [redacted 1]"),
        "with escapes": (r"SELECT E'4111\x31', U&'\0034', 'a''b'",
            "SELECT '[redacted 1]', '[redacted 2]', '[redacted 3]'"),
        "continued on the next line": ("SELECT '41111111'\n'11111111', e'41111111'\n'11111111', E'a''b'",
            "SELECT '[redacted 1]', '[redacted 2]', '[redacted 3]'"),
        "in a number that is written in another way": ("SELECT 4111_1111_1111_1111, 0xE9AF1D4A5C7, 4.5, 7",
            "SELECT '[redacted 1]', '[redacted 2]', 4.5, 7"),
        "in dollars": ("SELECT $$4111111111111111$$", "SELECT $$[redacted 1]$$"),
        "in a name": ('SELECT 1 AS "4111111111111111"', 'SELECT 1 AS "[redacted 1]"'),
        "nowhere": ("SELECT 'tel 411'", "SELECT 'tel 411'"),
    }.values(),
)  # fmt: skip
def test_what_a_pattern_matches_is_left_out(sql: str, expected: str) -> None:
    assert redacted(sql, CARDS).text == expected


def test_the_normalised_text_and_the_fingerprint_are_of_the_redacted_text() -> None:
    sql = "SELECT * FROM customers WHERE email = '{}' AND id = 4111111111111111"
    one, other = summary(sql.format("a@b")), summary(sql.format("c@d"))
    assert one.normalised == other.normalised == "SELECT * FROM customers WHERE email = $1 AND id = $2"
    plain = assess(policy(), sql.format("a@b").encode(), 1 << 20, CATALOG).statements[0].summary
    assert plain is not None
    assert one.fingerprint == other.fingerprint == plain.fingerprint
    assert summary('SELECT 1 AS "4111111111111111", nope() FROM "4111111111111111"', CARDS, Preset.FULL).reads == (
        "[redacted]",
    )


def test_under_record_statements_the_masked_text_is_of_the_redacted_one() -> None:
    found = judged('SELECT 1 AS "4111111111111111"', CARDS, record="statements").statements[0].summary
    assert found is not None
    assert found.masked == 'SELECT $1 AS "[redacted 1]"'


def test_after_a_hundred_values_the_others_have_no_number() -> None:
    found = redacted("INSERT INTO customers (email) VALUES " + ", ".join(["('a')"] * 103))
    assert len(found.values) == 100
    assert found.text.endswith("('[redacted 100]'), ('[redacted]'), ('[redacted]'), ('[redacted]')")


def test_the_columns_of_a_result_stay_by_their_origin() -> None:
    numbered = replace(CATALOG.relations["public"]["customers"], oid=16400, numbers=(1, 2, 4, 5, 6, 7, 8, 9))
    catalog = replace(CATALOG, relations={"public": {**CATALOG.relations["public"], "customers": numbered}})
    under = replace(policy(), redaction=COLUMNS)
    found = assess(under, b"SELECT * FROM customers", 1 << 20, catalog).statements[0].summary
    assert found is not None
    assert found.redacted is not None
    assert {number for oid, number in found.redacted.open_origins if oid == 16400} == {1, 2, 5, 6, 7, 8}
    assert redacted("SELECT * FROM customers").open_origins == frozenset()
