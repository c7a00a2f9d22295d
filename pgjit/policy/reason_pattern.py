"""Which patterns a policy may require of a reason. Pure.

Python's matcher backtracks: a hostile text can make some patterns take years. So a pattern is a sequence of
characters, classes and groups, in which few parts repeat and no group does. On a text of 256 characters it takes at
most some hundred thousand steps.
"""

from __future__ import annotations

import re

__all__ = ["check_pattern"]

_LONGEST = 200
_REPEATS = 4
_UNBOUNDED = 2
_ALTERNATIVES = 6
_TOKEN = re.compile(
    r"(?P<atom>\\[dwsDWS]|\\[^a-zA-Z0-9]|\[\^?(?:[^\[\]\\]|\\[dws]|\\[^a-zA-Z0-9])+\]|[^\\\[\](){}|*+?^$])"
    r"|(?P<unbounded>[*+]|\{[0-9]{1,3},\})"
    r"|(?P<bounded>\?|\{[0-9]{1,3}(?:,[0-9]{1,3})?\})"
    r"|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<or>\|)"
)


def check_pattern(pattern: str) -> str:
    """The pattern. Raises ValueError for one that cannot be read, or could take long."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"has at most {_LONGEST} characters")
    counts = dict.fromkeys(("unbounded", "bounded", "or"), 0)
    at, last = 0, ""
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or token.lastgroup is None:
            raise ValueError(
                f"has `{pattern[at : at + 10]}` at character {at + 1}: a pattern is made of characters, classes such "
                "as [A-Z] and \\d, groups, `|`, and the repetitions ? * + {2,5}"
            )
        kind = token.lastgroup
        if kind in ("unbounded", "bounded") and last != "atom":
            raise ValueError(f"must repeat one character or class at character {at + 1}, not a group")
        if kind in counts:
            counts[kind] += 1
        at, last = token.end(), kind
    if counts["unbounded"] > _UNBOUNDED or counts["unbounded"] + counts["bounded"] > _REPEATS:
        raise ValueError(f"repeats too much: at most {_REPEATS} parts, of which {_UNBOUNDED} without a bound")
    if counts["or"] > _ALTERNATIVES:
        raise ValueError(f"has more than {_ALTERNATIVES} `|`")
    try:
        re.compile(pattern)
    except re.error as fault:
        raise ValueError(f"cannot be read: {fault}") from None
    return pattern
