"""A position in a statement, as the pages show it: the line, and the character in it. Pure.

Decides how much of a long line is shown: the character stays in view.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pgjit.judging.text_position import line_at

__all__ = ["PointedLine", "pointed_line"]

_BEFORE: Final = 80
_AFTER: Final = 60
_CUT: Final = "…"


class PointedLine(NamedTuple):
    """`at` is one character; a blank where the position is behind the end of the line."""

    number: int
    before: str
    at: str
    after: str


def pointed_line(text: str, position: int) -> PointedLine:
    """`position`: characters of `text` from 1."""
    number, start, line = line_at(text, position)
    column = position - 1 - start
    before, at, after = line[:column], line[column : column + 1] or " ", line[column + 1 :]
    if len(before) > _BEFORE:
        before = _CUT + before[-_BEFORE:]
    if len(after) > _AFTER:
        after = after[:_AFTER] + _CUT
    return PointedLine(number, before, at, after)
