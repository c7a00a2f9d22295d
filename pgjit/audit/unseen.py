"""Characters that a reader does not see, or that make him see others: how they stand in a line of JSON. Pure.

Decides which these are: what ends lines, steers terminals, turns the direction of text, joins or parts letters, has
no width, or chooses a letter's shape. All of them are escaped, so that who parses the line has the text as it was,
and who looks at it sees that there is something.
"""

from __future__ import annotations

import re

__all__ = ["UNSEEN", "spelled_out"]

UNSEEN: tuple[tuple[int, int], ...] = (
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
"""First and last of each range: general category Cf, Zl, Zp and Cc beyond JSON's own, what Unicode calls default
ignorable, and the blanks that are no spaces."""

_UNSEEN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSEEN) + "]")


def spelled_out(text: str) -> str:
    """A line of JSON with these characters as escapes, beyond U+FFFF as a pair."""
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
