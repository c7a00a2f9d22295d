"""What a statement does to the session's prepared statements and cursors: PREPARE, EXECUTE, DECLARE, CLOSE ...

EXPLAIN and CREATE TABLE AS may hold an EXECUTE, and are looked into. Decides nothing, and does not know what a name
stands for: the session keeps that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pgjit.sql.statement import Argument, NameEffect

__all__ = ["ScannedToken", "StatementText", "effect_of"]


class ScannedToken(Protocol):
    """A token of the scanner. Offsets are in characters of the message."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...  # of its last character

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class StatementText:
    """The message that a statement is in."""

    text: str
    where: Callable[[int], int]  # from a byte offset to an offset in characters
    tokens: Callable[[], Sequence[ScannedToken]]  # called only if an argument is not a constant


_AROUND = frozenset({"ExplainStmt", "CreateTableAsStmt"})
_OPENS = frozenset({"ASCII_40", "ASCII_91"})  # parentheses and brackets
_CLOSES = frozenset({"ASCII_41", "ASCII_93"})
_COMMA = "ASCII_44"
_WITH_HOLD = 0x20  # CURSOR_OPT_HOLD
_MAY_NAME = re.compile(
    r"\b(?:prepare|deallocate|discard|execute|open|close|move|call|perform|language)\b", re.IGNORECASE
)
"""Code of a DO block without any of these words changes no name. `language` is one: other languages are not known."""


def effect_of(node_type: str, node: dict[str, Any], own: str, source: StatementText) -> NameEffect | None:
    """`own` is the statement's own text."""
    around = False
    while node_type in _AROUND:
        query = node.get("query", {})
        node_type, node = next(iter(query.items()), ("", {}))
        around = True
    if around:
        return _execute(node, source, around=True) if node_type == "ExecuteStmt" else None
    match node_type:
        case "PrepareStmt":
            return NameEffect("prepare", node["name"])
        case "ExecuteStmt":
            return _execute(node, source, around=False)
        case "DeallocateStmt":
            return NameEffect("deallocate", node.get("name"))
        case "DeclareCursorStmt":
            return NameEffect("declare", node["portalname"], hold=bool(node.get("options", 0) & _WITH_HOLD))
        case "FetchStmt":
            return NameEffect("fetch", node.get("portalname"))
        case "ClosePortalStmt":
            return NameEffect("close", node.get("portalname"))
        case "DiscardStmt" if node.get("target") == "DISCARD_ALL":
            return NameEffect("discard", None)
        case "DoStmt" if _MAY_NAME.search(own):
            return NameEffect("anything", None)
        case _:
            return None


def _execute(node: dict[str, Any], source: StatementText, *, around: bool) -> NameEffect:
    parameters = node.get("params", [])
    arguments: list[Argument] = []
    written: list[str] | None = None
    for index, parameter in enumerate(parameters):
        argument = _constant(parameter)
        if argument is None:
            if written is None:
                written = _written(parameters, source)
            argument = Argument(written[index] if index < len(written) else "?", constant=False)
        arguments.append(argument)
    return NameEffect("execute", node["name"], tuple(arguments), around=around)


def _constant(parameter: dict[str, Any]) -> Argument | None:
    """A number, a string without its quotes, or NULL. None for every other expression."""
    constant = parameter.get("A_Const")
    if constant is None:
        return None
    if constant.get("isnull"):
        return Argument(None)
    if "ival" in constant:
        return Argument(str(constant["ival"].get("ival", 0)))
    if "fval" in constant:
        return Argument(constant["fval"].get("fval", ""))
    if "sval" in constant:
        return Argument(constant["sval"].get("sval", ""))
    if "boolval" in constant:
        return Argument("true" if constant["boolval"].get("boolval") else "false")
    return None


def _written(parameters: list[dict[str, Any]], source: StatementText) -> list[str]:
    """The text of each argument: the parts between the commas of the argument list."""
    within = next((source.where(place) for each in parameters if (place := _place(each)) is not None), None)
    if within is None:
        return []
    tokens = source.tokens()
    opened: list[int] = []  # the parentheses and brackets that are open here
    for number, token in enumerate(tokens):
        if token.name in _OPENS:
            opened.append(number)
        elif token.name in _CLOSES and opened:
            first = opened.pop()
            if not opened and tokens[first].start < within < token.start:
                return _split(source.text, tokens[first : number + 1])
    return []


def _split(text: str, tokens: Sequence[ScannedToken]) -> list[str]:
    found: list[str] = []
    depth, begin = 0, tokens[0].end + 1
    for token in tokens[1:]:
        if token.name in _OPENS:
            depth += 1
        elif depth and token.name in _CLOSES:
            depth -= 1
        elif not depth and (token.name == _COMMA or token is tokens[-1]):
            found.append(text[begin : token.start].strip())
            begin = token.end + 1
    return found


def _place(parameter: dict[str, Any]) -> int | None:
    """A byte offset inside an argument."""
    place = next(iter(parameter.values())).get("location")
    return place if isinstance(place, int) else None
