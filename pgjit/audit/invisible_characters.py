"""Characters that are not shown, or that change how others are shown: a line of JSON has their escapes. Pure.

Decides which characters these are: those that end lines, control terminals, change the direction of text, join or
separate letters, have no width, or select a letter's shape. A program that parses the line gets the text unchanged. A
person who reads the line sees the escapes. A text that is shown by itself is held
to more: `is_hidden`.
"""

from __future__ import annotations

import functools
import re
import unicodedata

__all__ = ["INVISIBLE", "escape_invisible", "is_hidden"]

INVISIBLE: tuple[tuple[int, int], ...] = (
    (0x7F, 0x9F),  # DEL and the C1 controls
    (0xAD, 0xAD),  # soft hyphen
    (0x34F, 0x34F),  # combining grapheme joiner
    (0x600, 0x605),  # Arabic number signs
    (0x61C, 0x61C),  # Arabic letter mark
    (0x6DD, 0x6DD),
    (0x70F, 0x70F),
    (0x890, 0x891),
    (0x8E2, 0x8E2),
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer vowels that are not shown
    (0x180B, 0x180F),  # Mongolian variation selectors, vowel separator
    (0x200B, 0x200F),  # zero width, direction marks
    (0x2028, 0x202E),  # line and paragraph separator, directional embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, directional isolates, deprecated format characters
    (0x2800, 0x2800),  # blank Braille pattern
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # zero width no-break space, the byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF0, 0xFFFB),  # unassigned and ignored, interlinear annotation
    (0xFFFE, 0xFFFF),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1345F),  # Egyptian hieroglyph format controls
    (0x16FE4, 0x16FE4),  # Khitan small script filler
    (0x1BCA0, 0x1BCAF),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical symbols that begin and end
    (0xE0000, 0xE0FFF),  # tags, and more variation selectors
)
"""First and last of each range: the general categories Cf, Zl, Zp, and Cc as far as JSON does not escape it; default
ignorable code points; and blank characters that are not spaces."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # general categories
_INVISIBLE = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in INVISIBLE) + "]")


def escape_invisible(text: str) -> str:
    """A line of JSON with these characters as escapes; beyond U+FFFF as a surrogate pair."""
    return _INVISIBLE.sub(_escape, text)


@functools.lru_cache(maxsize=4096)
def is_hidden(character: str) -> bool:
    """Whether text for people must not have it as it is: it is not visible, or it changes how others are shown.

    Beyond the general categories these are fillers and variation selectors: some count as letters or marks.
    """
    return unicodedata.category(character) in _HIDDEN or any(
        first <= ord(character) <= last for first, last in INVISIBLE
    )


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
