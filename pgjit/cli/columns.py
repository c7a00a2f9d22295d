"""Tables for a terminal: they fit its width, 80 columns where it has none.

Decides what is shortened: the middle of the widest cells, never a column that is kept, such as an id that the next
command needs. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

from pgjit.audit.plain_text import plain

__all__ = ["TableColumn", "columns", "shortened"]

_GAP = "  "
_LEAST = 6


class TableColumn(NamedTuple):
    title: str
    keep: bool = False  # never shortened
    right: bool = False


def columns(titles: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of the table, its titles first. Cells are made safe for a terminal."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [
        max([cell_len(column.title), *(cell_len(row[at]) for row in cells)]) for at, column in enumerate(titles)
    ]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        at = max(
            (at for at, column in enumerate(titles) if not column.keep and widths[at] > _LEAST),
            key=lambda at: widths[at],
            default=None,
        )
        if at is None:
            break
        widths[at] -= 1
    heads = [column.title for column in titles]
    return [
        _GAP.join(_fitted(text, widths[at], right=titles[at].right) for at, text in enumerate(row)).rstrip()
        for row in [heads, *cells]
    ]


def shortened(text: str, width: int) -> str:
    """`text` with its middle replaced by `…` where it is longer than `width`."""
    if cell_len(text) <= width:
        return text
    if width < 3:
        return "…"[:width]
    tail_width = (width - 1) // 2
    head = chop_cells(text, width - 1 - tail_width)[0]
    tail = chop_cells(text[::-1], tail_width)[0][::-1]
    return f"{head}…{tail}"


def _fitted(text: str, width: int, *, right: bool) -> str:
    text = shortened(text, width)
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding
