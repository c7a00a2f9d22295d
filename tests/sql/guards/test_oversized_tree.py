"""Assignments whose tree would be many times their text are found in the text, however they are written."""

from __future__ import annotations

import pytest

from pgjit.errors import StatementRefused
from pgjit.sql.guards.oversized_tree import has_oversized_tree
from pgjit.sql.parse import read_message
from tests.run.rows import table

_COLUMNS = ", c" * 500
_VALUES = ", 1" * 500


@table("between", ["", " ", "\n\t\f", "/**/", " /* a /* ( */ b */ ", "-- (\n", "--\r  "])
@table("names", ["a{}", '"a("{}', "{}, a['(']", "/* ( */ a{}", "a {} -- (\n", '"a{}"'])
@table(
    "head", ["UPDATE t SET", "uPdAtE/**/t\nsEt b = 1,", "MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET"]
)
def test_many_columns_from_one_row_are_found(head: str, names: str, between: str) -> None:
    text = f"{head} ({names.format(_COLUMNS).removeprefix(', ')}){between}= (SELECT 1{_VALUES})"

    assert has_oversized_tree(text)
    with pytest.raises(StatementRefused, match="too many columns") as refused:
        read_message(text)
    assert refused.value.fields()["C"] == "54000"


@pytest.mark.parametrize(
    "text",
    [
        f"UPDATE t SET ({'c, ' * 119}c) = ROW({'$1, ' * 119}$1)",
        f"INSERT INTO t VALUES {'(1, 2), ' * 2000}(1, 2) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE lower(t.c) = 'x'",
        f'UPDATE t SET "b" = "v"."x" FROM (VALUES {"(1, 2), " * 1800}(1, 2)) AS "v" ("i", "x") WHERE lower("i") = b',
        f"SELECT {'a, ' * 5000} a FROM t WHERE lower(a) = 'update set'",
        f"/* app, 1 */ UPDATE t SET a = (b) = c, {'d = 1, ' * 2000} e = 1",
    ],
)  # fmt: skip
def test_ordinary_long_statements_are_not(text: str) -> None:
    assert not has_oversized_tree(text)
    assert len(read_message(text).statements) == 1
