"""The shape of a text: two texts of one shape have one syntax tree but for the values of their constants."""

from __future__ import annotations

from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pglast.parser import ParseError, parse_sql_json

from pgjit.sql.constants import shape_of
from pgjit.sql.withheld import ConstantRead, Withheld
from pgjit.sql.withholding import withhold
from tests.judging.constant_swaps import swapped


def literals(sql: str) -> list[bytes] | None:
    shape = shape_of(sql.encode())
    return None if shape is None else shape.literals


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", [b"1"]),
        ("SELECT 1.50, 0, 10", [b"1.50", b"0", b"10"]),
        ("SELECT 'a', '', 'x.y'", [b"'a'", b"''", b"'x.y'"]),
        ("SELECT a FROM t1 WHERE x=5", [b"5"]),
        ("SELECT -5, a-5, a - 5", [b"5", b"5", b"5"]),
        ("SELECT a[1], (2)", [b"1", b"2"]),
    ],
)
def test_plain_constants_are_taken_out(sql: str, found: list[bytes]) -> None:
    assert literals(sql) == found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t",
        "SELECT 1a", "SELECT 1e5", "SELECT 1_000", "SELECT 0x1F", "SELECT 0o7", "SELECT 0b1", "SELECT 1.",
        "SELECT .5", "SELECT 007", "SELECT 1.2.3", "SELECT t1",
        "SELECT a$1", "SELECT $1", "SELECT $1, 5", "SELECT 5, $$a$$",
        "SELECT 5, $x$a$x$", "SELECT a$5 b", "SELECT 5 -- 6", "SELECT 5 /* 6 */", "SELECT 5 */ 6 /*",
        "SELECT '--', 5", "SELECT E'a'", "SELECT e'a'", "SELECT U&'a'", "SELECT B'1'", "SELECT X'1F'", "SELECT N'a'",
        "SELECT 'it''s'", "SELECT ''''", "SELECT 'a\\', 5", "SELECT 5, '\\'", "SELECT 5::int", "SELECT 'a'::regclass",
        "SELECT '5'  ::int",
        "SELECT '\u0663', 5", "SELECT \u0663", "SELECT 5, \u00e4", "SELECT 'a\0b', 5", "SELECT 5\0", "SELECT '5\n'",
        "SELECT 'a&b'", "SELECT 'a;b'", "SELECT 'a\"b'", "SELECT '5", "SELECT \"a'5'b\"",
    ],
)  # fmt: skip
def test_in_doubt_nothing_is_taken_out(sql: str) -> None:
    assert literals(sql) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT 5", "SELECT 2147483647", True),
        ("SELECT 5", "SELECT 2147483648", False),
        ("SELECT 2147483648", "SELECT 9223372036854775807", True),
        ("SELECT 9223372036854775807", "SELECT 9223372036854775808", False),
        ("SELECT 9223372036854775808", "SELECT 1.5", True),
        ("SELECT 5", "SELECT '5'", False),
        ("SELECT 'a'", "SELECT ''", True),
        ("SELECT 5", "SELECT -5", False),
        ("SELECT 5, 6", "SELECT 5,6", False),
        ("SELECT 5", "select 5", False),
    ],
)
def test_the_class_of_a_constant_is_part_of_the_shape(one: str, other: str, same: bool) -> None:
    shapes = [shape_of(each.encode()) for each in (one, other)]
    assert None not in shapes
    assert (shapes[0].key == shapes[1].key) is same  # type: ignore[union-attr]


def test_long_texts_and_many_constants_have_no_shape() -> None:
    assert shape_of(b"SELECT " + b" " * 3000 + b"1") is None
    assert shape_of(b"SELECT " + b"1, " * 100 + b"1") is None


# --- what only the parser can see ---


def tree_of(sql: bytes) -> tuple[object, tuple[int, ...]]:
    """The tree without its places and constants, and which of these are left. Raises ConstantRead and ParseError."""
    tree = orjson.loads(parse_sql_json(sql.decode()))
    shape = shape_of(sql)
    assert shape is not None
    remaining = withhold(tree, shape)
    return placeless(orjson.loads(orjson.dumps(tree, default=_no_constant))), remaining


def placeless(value: object) -> object:
    if isinstance(value, list):
        return [placeless(each) for each in value]
    if isinstance(value, dict):
        return {key: placeless(each) for key, each in value.items() if key not in PLACES}
    return value


PLACES = {
    "location", "stmt_len", "stmt_location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end",
    "arg_location", "name_location",
}  # fmt: skip


def _no_constant(value: object) -> str:
    assert type(value) is Withheld
    return "withheld"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a'\n'b'", "SELECT 'a'\n''", "SELECT 'a' 'b'", "SELECT 5 FROM t WHERE '5 & 6' = 'x'", "SELECT - - 5",
        'SELECT "a 5 b", 6', "SELECT float(5) '1'", "SELECT 'a b 5 c''', 5", "SELECT '& 5 ', 6", "SELECT 5, 1e5",
        "SELECT 5, E'a'", "SELECT 5, 0x1F", "SELECT 5, 6::int", "SELECT 5 FETCH FIRST ROW ONLY",
        "SELECT x FROM t(5) y[6]",
        "SELECT 5::int[6]", "SELECT '\n 5', 6", "SELECT current_time(5)", "SELECT U&'a' UESCAPE '!', 5",
        "SELECT '\" ', '; 5', \" ' 6 '\"",
    ],
)  # fmt: skip
def test_what_the_parser_reads_otherwise_is_not_withheld(sql: str) -> None:
    if shape_of(sql.encode()) is not None:
        with pytest.raises((ConstantRead, ParseError)):
            tree_of(sql.encode())


PIECES = (
    "SELECT ", "a", "t1", "1a", "5", "60", "1.5", "9999999999", "'b'", "''", "'x y'", "'", "''", "'c", "d'", '"',
    '"e 5"',
    "E'", "U&'", "B'1'", "X'", "N'", "$$", "$1", "--", "/*", "*/", "\n", " ", "  ", ",", " , ", "(", ")", "[", "]",
    "-", " - ", "+", "=", "::", "::text", ".", ".5", "1e5", "1_0", "0x1", "007", "\\", ";", "&", "|", "%", " FROM t ",
    " WHERE ", " AND ", " LIKE ", " LIMIT ", " ORDER BY ", " IN ", "INSERT INTO t VALUES ", "UPDATE t SET a = ", "\t",
    " interval ", "CAST(", " AS numeric(", "UESCAPE", "\u00e4", "\u0663", ":=", " || ", "{", "}", "1..2", "#", "@",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)
likely = st.builds("SELECT {} FROM t WHERE a = {} AND {}".format, texts, texts, texts)


@given(st.one_of(texts, likely, st.builds("SELECT {}".format, texts)), st.randoms())
def test_two_texts_of_one_shape_have_one_tree(text: str, random: Random) -> None:
    sql = text.encode()
    shape = shape_of(sql)
    if shape is None:
        return
    try:
        tree, remaining = tree_of(sql)
    except (ConstantRead, ParseError):
        return  # its shape is not remembered
    assert tree_of(swapped(shape, random, remaining)) == (tree, remaining)
