"""Makes text from outside safe to show: a name or a statement must not control a terminal, nor deceive its reader."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from pgjit.audit.invisible_characters import INVISIBLE

__all__ = ["plain"]


def plain(text: str) -> str:
    """`text` with control, format and invisible characters (escape sequences, changes of direction) as `\\uXXXX`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(character) for character in text)


@lru_cache(maxsize=4096)
def _written(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or _is_blank(character):
        return f"\\u{ord(character):04x}"
    return character


def _is_blank(character: str) -> bool:
    """Fillers and variation selectors: the categories of some are those of letters and marks."""
    return any(first <= ord(character) <= last for first, last in INVISIBLE)
