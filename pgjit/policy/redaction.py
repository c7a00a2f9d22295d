"""What a policy keeps out of records: the values of some columns, and what some patterns match. Pure.

Decides which patterns a policy may have, and where they match. RE2 finds them in a time that grows with the text
alone, whatever the pattern is. `pgjit/judging/redacted_text.py` decides which values belong to a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import re2

from pgjit.policy.pattern import Patterns

__all__ = ["MOST_MATCHES", "Redaction", "check_redaction_pattern"]

MOST_MATCHES = 1000
"""Matches of a pattern in one text. What comes after the last of them counts as one: a text must not take long."""

_LONGEST = 500
_MEMORY = 8 * 2**20  # for one compiled pattern


@dataclass(frozen=True, slots=True)
class Redaction:
    """The `redact` section of a policy."""

    columns: Patterns | None = None
    patterns: tuple[str, ...] = ()

    def matches(self, text: bytes) -> list[tuple[int, int]]:
        """Where the patterns match: ranges of bytes of this UTF-8 text, in order, none empty. None overlap."""
        # Each is searched for by itself: in one search for all, a match of one would hide that of another.
        found = sorted(each for pattern in self.patterns for each in _matches(pattern, text))
        apart: list[tuple[int, int]] = []
        for start, end in found:
            if apart and start < apart[-1][1]:
                apart[-1] = apart[-1][0], max(apart[-1][1], end)
            else:
                apart.append((start, end))
        return apart

    def is_in(self, text: str) -> bool:
        """Whether a pattern matches anywhere in the text. True for what is no UTF-8, which cannot be searched."""
        if not self.patterns:
            return False
        try:
            data = text.encode()
        except UnicodeEncodeError:
            return True
        return any(_compiled(each).search(data) is not None for each in self.patterns)


def check_redaction_pattern(pattern: str) -> str:
    """The pattern. Raises ValueError for one that RE2 does not take, or that matches an empty text."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"has at most {_LONGEST} characters")
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as fault:
        why = fault.args[0].decode() if fault.args and isinstance(fault.args[0], bytes) else str(fault)
        raise ValueError(f"`{pattern}` cannot be read: {why} (the syntax is RE2's)") from None
    if compiled.fullmatch("") is not None:
        raise ValueError(f"`{pattern}` matches an empty text, so it is everywhere")
    return pattern


def _matches(pattern: str, text: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for match in _compiled(pattern).finditer(text):
        start, end = match.span()
        if start == end:
            continue
        found.append((start, end))
        if len(found) >= MOST_MATCHES:
            found[-1] = start, len(text)
            break
    return found


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _options())


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = True
    return options
