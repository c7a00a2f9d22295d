"""Finds text whose syntax tree would be far larger than the text, before it is parsed.

One construct does that: for `SET (a, b, c) = (SELECT ...)` the parser writes the query once for each column, so that
15 kilobytes become 700 megabytes. Decides from the text alone; in doubt it reports the text.
"""

from __future__ import annotations

import re

__all__ = ["MOST", "has_oversized_tree"]

MOST = 200_000
"""Columns times characters: about 2 MB of the parser's output. 120 columns set to plain values stay below."""

_UPDATE = re.compile(r"\bupdate\b", re.IGNORECASE)
_SET = re.compile(r"\bset\b", re.IGNORECASE)
_LINES = re.compile(r"[\n\r]")
# These hold no parenthesis and no quote: the lists of columns stay whole without them, also inside a string.
_PLAIN = re.compile(r"\"\w*\"|\[\w*\]|/\*[^()\"'*/]*\*/")
_ASSIGNED = re.compile(r"(?:\)|\*/)=")
_LIST = re.compile(r"\(([^()]*)\)=")


def has_oversized_tree(text: str) -> bool:
    if text.count(",") * len(text) <= MOST or not _UPDATE.search(text) or not _SET.search(text):
        return False
    # A comment of this kind may stand before the equals sign.
    lines = (f"{line}*/" if "--" in line else line for line in _LINES.split(text))
    plain = _PLAIN.sub("", "".join("".join(lines).split()))
    if '"' in plain or "[" in plain or "*/" in plain:  # the columns cannot be counted in the text
        return _ASSIGNED.search(plain) is not None
    columns = max((found[1].count(",") + 1 for found in _LIST.finditer(plain)), default=0)
    return columns > 1 and columns * len(text) > MOST
