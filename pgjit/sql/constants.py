"""The shape of a text: the text without its plain constants, and the class of each. Pure.

Decides which texts are so plain that two of the same shape have the same tokens in the same order, and so the same
syntax tree but for the values of these constants. `WHERE id = 5 AND name = 'x'` and `WHERE id = 7 AND name = ''` have
one shape; `id = 5` and `id = 5000000000` have two, for the second number is of another type.

Only `12`, `1.5` and `'abc'` are taken out, where nothing else can begin or end at them. Whatever else looks like a
constant stays in the shape. In doubt a text has no shape: with a backslash, a comment, a dollar sign, or a character
that is not ASCII.

INVARIANT: a text and its shape are the same bytes but for the constants. So the lexer comes to each constant in the
same state in all texts of a shape, if in one of them each was a token by itself; `withholding.py` checks that one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MOST_INT4", "TextShape", "constants_in", "is_plain", "possible_shape_of", "shape_of"]

_MOST_BYTES = 2048
_MOST_CONSTANTS = 64

_BARRED = (b"\\", b"$", b"--", b"/*", b"\0")
_CONSTANT = re.compile(
    rb"""
    (
        ['0-9] (?<! [\w.'"&] ['0-9] )                 # not `t1`, `1.2.3`, `E'..'`, `U&'..'`, `''..'`
        (?: (?<= ') [A-Za-z0-9 _.,:/@+\-*=<>()\[\]{}%!?\#~^|]* '
          | (?: (?<= 0) | (?<= [1-9]) [0-9]{0,29} ) (?: \. [0-9]{1,30} )?
        )
    )
    (?! [\w.'"] | \s*:: )                             # not `1a`, `0x1`, `1e5`, `1.`, `007`, `'it''s'`, `'..'::text`
    """,
    re.VERBOSE,
)
"""It begins with the characters that it looks for, and looks back from there: so the search can skip all others."""
_PARAMETER = re.compile(rb"\$\d+")
_QUOTE = 0x27
MOST_INT4 = 2**31 - 1
_MOST_INT8 = 2**63 - 1


_new_shape = tuple.__new__  # a third of what `TextShape()` costs


class TextShape(NamedTuple):
    key: bytes  # equal for texts of the same shape
    parts: list[bytes]  # of the text: what is fixed, a constant, what is fixed, ..., what is fixed

    @property
    def literals(self) -> list[bytes]:
        return self.parts[1::2]


def shape_of(sql: bytes) -> TextShape | None:
    """None: it has no constant that could be taken out, or may be read in more than one way."""
    return possible_shape_of(sql) if is_plain(sql) else None


def is_plain(sql: bytes) -> bool:
    """Whether it can be read in one way only."""
    if not sql.isascii():
        return False
    for barred in _BARRED:  # noqa: SIM110 - a generator would take as long as all the rest
        if barred in sql:
            return False
    return True


def possible_shape_of(sql: bytes) -> TextShape | None:
    """The same, but for whether the text may be read in more than one way.

    If its key is that of a text with a shape, this is its shape: what is barred is not in the fixed parts then, and
    has no meaning in a quoted constant.
    """
    if len(sql) > _MOST_BYTES or b"\0" in sql:  # a zero byte separates the parts of the key
        return None
    parts = _CONSTANT.split(sql)
    if not 1 < len(parts) <= 2 * _MOST_CONSTANTS:
        return None
    keyed = parts.copy()
    keyed[1::2] = [
        b"s" if literal[0] == _QUOTE else b"i" if len(literal) < 10 and literal.isdigit() else _number_class(literal)
        for literal in parts[1::2]
    ]
    return _new_shape(TextShape, (b"\0".join(keyed), parts))


def constants_in(text: str) -> list[bytes]:
    """What looks like a plain constant in any text, also in one that has no shape. `$1` is none."""
    return _CONSTANT.split(_PARAMETER.sub(b"x", text.encode()))[1::2]


def _number_class(literal: bytes) -> bytes:
    """As PostgreSQL types it: int4, int8, or numeric."""
    if b"." in literal:
        return b"n"
    value = int(literal)
    return b"i" if value <= MOST_INT4 else b"l" if value <= _MOST_INT8 else b"n"
