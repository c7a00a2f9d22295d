"""Replaces the constants in a syntax tree by what nothing can read (`withheld.py`). Pure.

Decides which constants of the tree are those of the text's shape, and which are left because they decide.
"""

from __future__ import annotations

from typing import Any

from pgjit.sql.constants import MOST_INT4, TextShape
from pgjit.sql.withheld import WITHHELD, ConstantRead

__all__ = ["withhold"]

_KINDS = frozenset({"ival", "fval", "sval", "bsval"})
_LEFT = frozenset(
    {
        "limitCount", "limitOffset", "node", "groupClause", "distinctClause", "content", "typmods",
        "cycle_mark_value", "cycle_mark_default",
    }
)  # fmt: skip
"""Where a constant by itself is left in the tree. LIMIT decides; `ORDER BY 2`, `GROUP BY 2`, `varchar(2)` and
`CYCLE ... TO 'x'` are not replaced in a normalised text."""
_QUOTE = 0x27

Node = dict[str, Any]


def withhold(tree: Any, shape: TextShape) -> tuple[int, ...]:
    """Replace the constants in the parser's tree. Returns the indexes of those that are left, see `_LEFT`.

    Raises ConstantRead, with the tree as it was, if a constant of the tree is not one of the shape, or the other way
    round: then the parser did not read the text as the shape has it.
    """
    places = _places(shape)
    found: dict[int, list[tuple[Node, str]]] = {}
    remaining: set[int] = set()
    for content, kind, stays in _constants(tree):
        index, written = places.get(content.get("location", 0), _NOWHERE)
        value = content[kind].get(kind)
        if index < 0 or kind not in written or written[kind] != (_EMPTY.get(kind) if value is None else value):
            raise ConstantRead
        found.setdefault(index, []).append((content, kind))
        if stays:
            remaining.add(index)
    if len(found) != len(shape.literals):
        raise ConstantRead
    for index, held in found.items():
        if index not in remaining:
            for content, kind in held:
                content[kind] = {kind: WITHHELD}
    return tuple(sorted(remaining))


_EMPTY = {"ival": 0, "sval": ""}  # libpg_query leaves them out
_NOWHERE: tuple[int, dict[str, object]] = (-1, {})


def _places(shape: TextShape) -> dict[int, tuple[int, dict[str, object]]]:
    """By the offset where a constant may begin in the tree: its index, and its value by the kind of the node.

    The parser makes one constant of a number and the minus before it, which begins at the minus.
    """
    places: dict[int, tuple[int, dict[str, object]]] = {}
    at = 0
    for index, literal in enumerate(shape.literals):
        before = shape.parts[2 * index]
        at += len(before)
        text = literal.decode()
        if literal[0] == _QUOTE:
            places[at] = index, {"sval": text[1:-1]}
        else:
            places[at] = index, _number(text)
            if (signed := before.rstrip()).endswith(b"-"):
                places[at - len(before) + len(signed) - 1] = index, _number("-" + text)
        at += len(literal)
    return places


def _number(text: str) -> dict[str, object]:
    return {"fval": text} if "." in text or abs(int(text)) > MOST_INT4 else {"ival": int(text)}


def _constants(tree: Any) -> list[tuple[Node, str, bool]]:
    """Each constant in the tree: its node, the kind, and whether it is to be left there."""
    found: list[tuple[Node, str, bool]] = []
    left: list[Any] = [tree]
    staying: list[Any] = []
    while left or staying:
        stays = not left
        value = staying.pop() if stays else left.pop()
        if type(value) is list:
            (staying if stays else left).extend(value)
        elif type(value) is dict:
            for key, inner in value.items():
                if type(inner) is dict:
                    if key in _KINDS:
                        found.append((value, key, stays))
                    (staying if key in _LEFT or (stays and key == "A_Const") else left).append(inner)
                elif type(inner) is list:
                    (staying if key in _LEFT else left).extend(inner)
    return found
