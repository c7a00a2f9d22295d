"""Text that the parser's lexer takes the square of its length for: found before it is parsed.

Operator characters are the one: at each `+`, `-` and `/*` of a run of them the lexer reads to the run's end, and
gives all but the first back. Sixteen kilobytes of `/*` take a third of a second, 250 a minute. Decides from the text
alone.
"""

from __future__ import annotations

import re

__all__ = ["MOST", "lexes_quadratically"]

MOST = 30_000_000
"""Characters that are read again, of all runs: below 0.1 s. A line of 5,000 dashes in a comment stays below."""

_SHORT = 4_000  # less text than this cannot come to it
_RUN = re.compile(r"[~!@#^&|`?+\-*/%<>=]{64,}")


def lexes_quadratically(text: str) -> bool:
    if len(text) <= _SHORT:
        return False
    again = 0
    for found in _RUN.finditer(text):
        run = found[0]
        again += (run.count("+") + run.count("-") + run.count("/*")) * len(run)
    return again > MOST
