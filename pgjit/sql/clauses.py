"""What a command says in words of the syntax tree that are no names: CASCADE, OWNER TO, TEMPORARY, options.

The tree has such clauses as the values of fields, so that a list of the fields alone would let all of them pass.
Decides nothing.
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
"""Statements that are judged by other facts; not walked over a second time."""

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
