"""Finds text for which the lexer's time would grow with the square of the length, before it is parsed.

Runs of operator characters do that: at each `+`, `-` and `/*` the lexer reads to the end of the run and gives back
all but the first character. 16 kilobytes of `/*` take a third of a second, 250 kilobytes a minute. Decides from the
text alone.
"""

from __future__ import annotations

import re

__all__ = ["MOST", "lexes_quadratically"]

MOST = 30_000_000
"""Characters that the lexer reads again, in all runs: 0.1 s at most. A comment line of 5,000 dashes stays below."""

_SHORT = 4_000  # shorter text cannot exceed MOST
_RUN = re.compile(r"[~!@#^&|`?+\-*/%<>=]{64,}")


def lexes_quadratically(text: str) -> bool:
    if len(text) <= _SHORT:
        return False
    read_again = 0
    for found in _RUN.finditer(text):
        run = found[0]
        read_again += (run.count("+") + run.count("-") + run.count("/*")) * len(run)
    return read_again > MOST
