"""How much a run of the bench does: how many rounds, for how long, of which cases; and what it shows meanwhile."""

from __future__ import annotations

import fnmatch
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "TINY", "Effort"]


@dataclass(frozen=True)
class Effort:
    rounds: int
    seconds: float
    """how long one run of pgbench lasts"""
    transactions: int = 0
    """how many one run of pgbench makes, instead of a time: figures of a busy machine are then of the same work"""
    only: tuple[str, ...] = ()
    """patterns of the cases that are measured; without one, all"""
    rows: int = 500_000
    """how many the big result has"""
    row_bytes: int = 64 * 2**20
    """the size of a large row"""
    sessions: tuple[int, ...] = (1_000, 5_000)
    """how many idle sessions there are at once"""
    pages: int = 100
    """how many pages of the console are open at once"""
    logins: int = 50
    """how many, one after the other"""
    scale: int = 10
    """the scale factor of pgbench's tables"""
    hostile: int = 1
    """the step through the hostile statements: 1 sends all of them, 4 every fourth"""

    def unknown(self, cases: Collection[str]) -> list[str]:
        """The patterns that choose none of `cases`."""
        return [each for each in self.only if not fnmatch.filter(cases, each)]

    def chosen(self, cases: Iterable[str]) -> list[str]:
        return [case for case in cases if not self.only or any(fnmatch.fnmatch(case, each) for each in self.only)]

    def interleaved(self, ways: Sequence[str], case: str) -> Iterator[str]:
        """Each way in turn, round after round: what disturbs the machine disturbs all of them."""
        for index in range(self.rounds):
            for way in ways:
                _show(f"{case}: round {index + 1} of {self.rounds}, {way}")
                yield way
        _show("")

    def once(self, ways: Sequence[str], case: str) -> Iterator[str]:
        for way in ways:
            _show(f"{case}: {way}")
            yield way
        _show("")


FULL = Effort(3, 4)
QUICK = Effort(1, 2, rows=100_000, row_bytes=16 * 2**20, sessions=(200,), logins=20, hostile=4)
TINY = Effort(
    1, 1, transactions=8, rows=100, row_bytes=2**16, sessions=(3,), pages=5, logins=2, scale=1, hostile=60,
    only=(
        "prepared-1", "connect-4", "latency", "login", "copy-out", "rows-binary", "decision-*", "unique-8-w2",
        "*-pages", "idle-*", "stall*",
    ),
)  # fmt: skip
"""Enough to see that everything runs."""


_BEGUN = time.monotonic()


def _show(line: str) -> None:
    """What is measured now, with the minutes and seconds since the start."""
    if line:
        passed = round(time.monotonic() - _BEGUN)
        line = f"{passed // 60:2}:{passed % 60:02} {line}"
    if sys.stderr.isatty():
        print(f"\r\033[K{line[:79]}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)
