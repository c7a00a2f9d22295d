"""A query that a person wrote: `audit sql`.

Decides what may run: one SELECT over the views, with its own subqueries and CTEs, each where its name holds.
INVARIANT: a table, table function or kind of FROM that is not listed here is refused before the query is bound;
besides, the engine itself can read nothing but the cache (`reader.py`). Decides how the engine's errors are shown:
with the position in the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pgjit.audit.reading.faults import QueryRefused
from pgjit.audit.reading.reader import Reader, Rows
from pgjit.audit.reading.views import VIEWS

__all__ = ["run_query"]

_TABLE_FUNCTIONS: Final = frozenset({"unnest", "generate_series", "range"})
_FROM: Final = frozenset(
    {
        "BASE_TABLE",
        "SUBQUERY",
        "JOIN",
        "TABLE_FUNCTION",
        "EMPTY",
        "EXPRESSION_LIST",
        "PIVOT",
        "SHOW_REF",
        "COLUMN_DATA",
    }
)
_VIEWS_HINT: Final = f"The views are {', '.join(VIEWS[:-1])} and {VIEWS[-1]}; `DESCRIBE executions` lists columns."


def run_query(reader: Reader, sql: str, *, most: int | None = None, most_bytes: int | None = None) -> Rows:
    """Raises QueryRefused."""
    import duckdb

    text = sql.rstrip().rstrip(";")
    if not text.strip():
        raise QueryRefused("query is empty", hint=_VIEWS_HINT)
    _check(reader, text)
    try:
        return reader.query(text, most=most, most_bytes=most_bytes)
    except duckdb.InterruptException:
        raise QueryRefused("query took too long", hint="Narrow it by `time`, or select fewer columns.") from None
    except duckdb.OutOfMemoryException as fault:
        raise QueryRefused(
            "query needs more memory than it may use",
            detail=_one_line(fault),
            hint="Select fewer columns, or aggregate before you sort.",
        ) from None
    except duckdb.Error as fault:
        raise _failed(text, fault) from None


def _check(reader: Reader, text: str) -> None:
    row = reader.connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree["error"]:
        if tree["error_type"] == "parser":
            position = tree.get("position")
            raise QueryRefused(
                str(tree["error_message"]),
                position=None if position is None else _character(text, int(position)),
                hint="Queries are written in DuckDB's SQL.",
            )
        raise QueryRefused("only a SELECT can be run", hint=_VIEWS_HINT)
    statements = tree["statements"]
    if len(statements) != 1:
        raise QueryRefused(f"one SELECT can be run, not {len(statements)}", hint="Join them by UNION ALL.")
    for node, names in _nodes(statements[0], frozenset(VIEWS)):
        _check_node(text, node, names)


def _check_node(text: str, node: dict[str, Any], names: frozenset[str]) -> None:
    kind = node.get("type")
    position = node.get("query_location")
    at = _character(text, position) if isinstance(position, int) and position < len(text.encode()) else None
    if kind == "BASE_TABLE":
        name = str(node.get("table_name"))
        schema = str(node.get("schema_name") or "").lower()
        known = names if not schema else VIEWS  # a CTE has no schema
        if name.lower() not in known or schema not in ("", "main") or node.get("catalog_name"):
            raise QueryRefused(f"there is no view `{name}`", hint=_VIEWS_HINT, position=at)
    elif kind == "TABLE_FUNCTION":
        name = str((node.get("function") or {}).get("function_name"))
        if name.lower() not in _TABLE_FUNCTIONS:
            allowed = ", ".join(sorted(_TABLE_FUNCTIONS))
            hint = f"Table functions that can be called are {allowed}. {_VIEWS_HINT}"
            raise QueryRefused(f"table function `{name}` cannot be called", hint=hint, position=at)
    elif "sample" in node and "alias" in node and kind not in _FROM:  # a part of FROM that is not known here
        raise QueryRefused(f"a query cannot read from a {str(kind).lower()}", hint=_VIEWS_HINT, position=at)


def _ctes(node: dict[str, Any]) -> list[dict[str, Any]]:
    """In order: each may read those before it."""
    found = (node.get("cte_map") or {}).get("map") or []
    return [each for each in found if isinstance(each, dict) and "key" in each]


def _nodes(tree: Any, views: frozenset[str]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every object of the tree, with the names of the views and CTEs that it may read. Without recursion: a query may
    be deep."""
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, views)]
    while waiting:
        each, names = waiting.pop()
        if isinstance(each, dict):
            for cte in _ctes(each):
                mine = {str(cte["key"]).lower()}
                waiting.append((cte.get("value"), names | mine if _is_recursive(cte) else names))
                names |= mine
            yield each, names
            waiting.extend((value, names) for name, value in each.items() if name != "cte_map")
        elif isinstance(each, list):
            waiting.extend((value, names) for value in each)


def _is_recursive(cte: dict[str, Any]) -> bool:
    node = ((cte.get("value") or {}).get("query_node") or {}).get("type")
    return node == "RECURSIVE_CTE_NODE"


def _character(text: str, offset: int) -> int:
    """The character (from 1) at a byte of the text."""
    return len(text.encode()[:offset].decode("utf-8", "ignore")) + 1


def _failed(text: str, fault: Exception) -> QueryRefused:
    """The engine's message, with the position that its caret has."""
    message, _, rest = str(fault).partition("\n\nLINE ")
    lines = message.split("\n")
    kind, _, first = lines[0].partition(": ")
    position = _position(text, rest)
    detail = " ".join(line.strip() for line in lines[1:] if line.strip()) or None
    return QueryRefused(first or kind, detail=detail, position=position, hint=_VIEWS_HINT)


def _position(text: str, shown: str) -> int | None:
    """Where the caret below `<number>: <line>` points to in the text; None if the line is shown cut."""
    head, _, caret = shown.partition("\n")
    number, _, line = head.partition(": ")
    source = text.split("\n")
    if not number.isdigit() or int(number) > len(source) or line != source[int(number) - 1] or "^" not in caret:
        return None
    column = caret.index("^") - len(f"LINE {number}: ")
    return sum(len(each) + 1 for each in source[: int(number) - 1]) + column + 1 if column >= 0 else None


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())
