"""A position in a statement as line and column. Pure; lines end as PostgreSQL's clients count them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TextLine", "line_and_column", "line_at"]

_LINE_END = re.compile(r"\r\n|\n|\r")


class TextLine(NamedTuple):
    """`number` is counted from 1, `start` is the line's offset in the text from 0; `text` has no line end."""

    number: int
    start: int
    text: str


def line_at(text: str, position: int) -> TextLine:
    """The line with the character at `position`, counted from 1."""
    start, number = 0, 1
    for end in _LINE_END.finditer(text):
        if end.end() >= position:
            return TextLine(number, start, text[start : end.start()])
        start, number = end.end(), number + 1
    return TextLine(number, start, text[start:])


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Line and column of the character at `position`, all counted from 1."""
    number, start, _ = line_at(text, position)
    return number, position - start
