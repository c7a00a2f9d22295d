"""Shows a position in a statement as psql does: the line, and a caret below it. Pure.

Columns are those of a terminal: a wide character takes two, a combining one none, a tab as many as are printed.
"""

from __future__ import annotations

from rich.cells import cell_len

from pgjit.audit.plain_text import plain
from pgjit.judging.text_position import line_at

__all__ = ["pointed"]

_TAB = " " * 4
_CUT = "..."


def pointed(text: str, position: int, width: int = 100) -> str:
    """Two lines: the line of `text` with the character at `position` (from 1), and a caret under that character."""
    number, start, line = line_at(text, position)
    before, after = _shown(line[: position - 1 - start]), _shown(line[position - 1 - start :])
    head = f"LINE {number}: "
    room = max(20, width - len(head))
    # The caret stays in view: text is cut on the left first, then on the right.
    before = _last(before, room * 3 // 4 if cell_len(after) > room // 4 else room - max(1, cell_len(after)))
    after = _first(after, room - cell_len(before))
    return f"{head}{before}{after}\n{' ' * (len(head) + cell_len(before))}^"


def _shown(text: str) -> str:
    return _TAB.join(plain(part) for part in text.split("\t"))


def _last(text: str, room: int) -> str:
    if cell_len(text) <= room:
        return text
    kept = text[-max(0, room - len(_CUT)) :] if room > len(_CUT) else ""
    while kept and cell_len(kept) > room - len(_CUT):
        kept = kept[1:]
    return _CUT + kept


def _first(text: str, room: int) -> str:
    if cell_len(text) <= room:
        return text
    kept = text[: max(0, room - len(_CUT))]
    while kept and cell_len(kept) > room - len(_CUT):
        kept = kept[:-1]
    return kept + _CUT
