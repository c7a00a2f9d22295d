"""What Hypothesis need not find out in every process of a run, where examples are tried by the hundred.

On a fresh clone it reads every module for constants that it may try (four seconds in each worker), and goes through a
million characters for those that UTF-8 can write (three seconds). Constants are left to the profile `deep`; which
characters UTF-8 can write is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers
from hypothesis.internal.intervalsets import IntervalSet

__all__ = ["find_out_less"]

_Found = tuple[IntervalSet, IntervalSet]
_SURROGATES = 0xD800, 0xDFFF


def find_out_less() -> None:
    vars(providers)["_get_local_constants"] = lambda: providers._local_constants
    vars(charmap)["intervals_from_codec"] = _knowing_utf_8(charmap.intervals_from_codec)


def _knowing_utf_8(find_out: Callable[[str], _Found]) -> Callable[[str], _Found]:
    @cache
    def intervals_from_codec(name: str) -> _Found:
        """The characters that it can write, and those of them that it reads as others."""
        if name != "utf-8":
            return find_out(name)
        first, last = _SURROGATES
        return IntervalSet([(0, first - 1), (last + 1, sys.maxunicode)]), IntervalSet([])

    return intervals_from_codec
