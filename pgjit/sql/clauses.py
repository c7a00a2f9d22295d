"""The clauses of utility commands that are not names: CASCADE, OWNER TO, TEMPORARY, options.

In the syntax tree such a clause is the value of a field. An allow-list of field names would therefore let all of
them pass, so the values are collected as well. Decides nothing.
"""

from __future__ import annotations

from typing import Any

__all__ = ["clauses_of"]

_PLAIN = frozenset(
    """
    CallStmt ClosePortalStmt CopyStmt DeallocateStmt DeclareCursorStmt DeleteStmt DiscardStmt ExecuteStmt ExplainStmt
    FetchStmt InsertStmt MergeStmt PrepareStmt SelectStmt TransactionStmt UpdateStmt VariableSetStmt VariableShowStmt
""".split()
)
"""Statements that are judged by other facts, and are not walked a second time."""

_WORDS = frozenset(
    {"behavior", "contype", "defname", "defnamespace", "onCommit", "oncommit", "relpersistence", "subtype"}
)


def clauses_of(node_type: str, node: dict[str, Any]) -> frozenset[str]:
    """`field=value` of each clause, at any depth."""
    found: set[str] = set()
    left: list[Any] = [] if node_type in _PLAIN else [node]
    while left:
        value = left.pop()
        if type(value) is list:
            left.extend(value)
        elif type(value) is dict:
            found.update(f"{word}={value[word]}" for word in _WORDS & value.keys())
            left.extend(value.values())
    return frozenset(found)
