"""Statements that are nested, long or not ASCII: each made a parser's tree, or code that walks it, fail once."""

from __future__ import annotations

__all__ = ["ALL", "BROAD", "LONG", "SHORT"]

LARGE = 16 * 1024


def nested(opening: str, inner: str, closing: str, times: int) -> str:
    return "SELECT " + opening * times + inner + closing * times


# What made a parser's own tree, or who walked it, fall over: as long as it was then.
LONG = {
    "terms": "SELECT 1" + "+1" * 24_100,
    "casts": "SELECT 1" + "::int" * 32_800,
    "unions": "SELECT 1" + " UNION ALL SELECT 1" * 15_600,
    "joins": "SELECT 1 FROM a" + " JOIN a ON true" * 24_000,
    "concatenations": "SELECT 'a'" + "||'a'" * 24_000,
    "collations": "SELECT 'a'" + ' COLLATE "C"' * 32_800,
    "null tests": "SELECT 1" + " IS NULL" * 27_800,
    "negations": "SELECT " + "NOT " * 10_000 + "true",
    "signs": "SELECT " + "- " * 20_000 + "1",
    "parentheses": nested("(", "1", ")", 10_000),
    "calls": nested("abs(", "1", ")", 10_000),
    "cases": nested("CASE WHEN true THEN ", "1", " END", 5_000),
    "arrays": nested("ARRAY[", "1", "]", 10_000),
    "subqueries": nested("(SELECT ", "1", ")", 10_000),
    "queries of queries": "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "a" + ") x" * 5_000,
    "conditions": "SELECT 1 WHERE true" + " AND true" * 50_000,
    "a list": "SELECT 1 WHERE 1 IN (1" + ",1" * 50_000 + ")",
    "fields": "SELECT a" + ".b" * 50_000,
    "columns before a character": "SELECT a" + ",a" * 40_000 + ",'" + "é" * 40 + "'",
    "a text": "SELECT '" + "é" * 100_000 + "'",
    "an astral text": "SELECT '" + "\U0001f40d" * 50_000 + "'",
    "indices": "SELECT a" + "[1]" * 30_000,
    "comments": "SELECT 1" + "/*" * 50_000,
    "closed comments": "SELECT 1" + "/*" * 30_000 + "*/" * 30_000,
    "dollars": "SELECT $" + "a" * 100_000 + "$x",
    "quotes": "SELECT '" + "''" * 50_000,
    "statements": "SELECT 1;" * 20_000,
    "semicolons": ";" * 100_000,
    "a name": 'SELECT "' + "é" * 60_000 + '"',
    "a number": "SELECT " + "9" * 100_000,
    "spaces": " " * 200_000 + "SELECT 1",
    "queries with": "WITH " + ", ".join(f"c{n} AS (SELECT 1)" for n in range(5_000)) + " SELECT 1",
    "common queries inside": "WITH a AS (" * 2_000 + "SELECT 1" + ") SELECT 1" * 2_000,
    "windows": "SELECT " + ", ".join("sum(1) OVER (ORDER BY a)" for _ in range(4_000)),
}  # fmt: skip


def just_below(text: str) -> str:
    """A part of it, mended so that it may parse."""
    return text.encode()[: LARGE - 1].decode("utf-8", "ignore")


SHORT = {
    "terms": "SELECT 1" + "+1" * 8_100,
    "casts": "SELECT 1" + "::int" * 3_200,
    "unions": "SELECT 1" + " UNION ALL SELECT 1" * 850,
    "joins": "SELECT 1 FROM a" + " JOIN a ON true" * 1_000,
    "parentheses": nested("(", "1", ")", 8_000),
    "calls": nested("abs(", "1", ")", 3_200),
    "cases": nested("CASE WHEN true THEN ", "1", " END", 660),
    "subqueries": nested("(SELECT ", "1", ")", 1_700),
    "conditions": "SELECT 1 WHERE true" + " AND true" * 1_800,
    "columns before a character": "SELECT a" + ",a" * 8_100 + ",'éé'",
    "a text": "SELECT '" + "é" * 8_000 + "'",
    "a hundred statements": "SELECT 1+1+1+1+1+1;" * 100,
    "many statements": "SELECT 1;" * 1_800,
}  # fmt: skip
ALL = LONG | {f"short {name}": text for name, text in SHORT.items()} | {
    f"cut {name}": just_below(text) for name, text in LONG.items()
}  # fmt: skip

# Long in breadth, and costly, nine tenths of the work of all: they need no deep stack. A live session sends them too.
BROAD = {
    "columns before a character", "queries with", "conditions", "a list", "indices", "fields", "statements",
    "windows",
}  # fmt: skip
