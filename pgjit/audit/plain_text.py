"""Makes text from outside safe to show: a name or a statement must not control a terminal, nor deceive its reader."""

from __future__ import annotations

from pgjit.audit.invisible_characters import is_hidden

__all__ = ["plain"]


def plain(text: str) -> str:
    """`text` with control, format and invisible characters (escape sequences, changes of direction) as `\\uXXXX`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if is_hidden(each) else each for each in text)
