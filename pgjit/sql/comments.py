"""Text that takes the parser a time that grows with its square: comments opened again and again.

PostgreSQL's lexer takes `/*` with all operator characters behind it, and gives those back: once for each `/*` in
such a run. 100 kilobytes of it take ten seconds. Decides from the text alone, in one pass over it.
"""

from __future__ import annotations

import re

__all__ = ["MOST", "reopens"]

MOST = 1_000_000
"""Comments opened in a run times its length: some milliseconds. A ruler of a hundred signs opens one."""

_RUN = re.compile(r"[-+*/<>=~!@#%^&|`?]{1000,}")


def reopens(text: str) -> bool:
    return text.count("/*") > 100 and any(len(run[0]) * run[0].count("/*") > MOST for run in _RUN.finditer(text))
