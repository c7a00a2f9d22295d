"""Texts that anybody wrote, made fit for a message: no control characters, one line, of bounded length. Pure."""

from __future__ import annotations

import unicodedata

__all__ = ["cut", "one_line", "visible"]

_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """Without characters that are not seen or that turn the direction of writing; line breaks stay."""
    return "".join(
        each if each == "\n" or unicodedata.category(each) not in _REMOVED else " "
        for each in text.replace("\r\n", "\n").replace("\r", "\n")
    )


def one_line(text: str) -> str:
    return " ".join(visible(text).split())


def cut(text: str, longest: int) -> str:
    """Never silently: the reader sees that there is more."""
    return text if len(text) <= longest else f"{text[:longest]} [... {len(text) - longest} more characters]"
