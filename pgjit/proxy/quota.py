"""Quotas: how many places each key may hold at once. Pure.

Decides whether a place is free. Does not know what the places are for, or which error reports that none is free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Quota"]

K = TypeVar("K", bound=Hashable)


class Quota(Generic[K]):
    """At most `most` places for each key. Without `most`, each call of `take` gives the limit."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self._held: Counter[K] = Counter()

    def __getitem__(self, key: K) -> int:
        """How many places `key` holds."""
        return self._held[key]

    def __len__(self) -> int:
        """How many keys hold a place."""
        return len(self._held)

    def full(self, key: K) -> bool:
        return self.most is not None and self._held[key] >= self.most

    def take(self, key: K, *, most: int | None = None, beyond: int = 0) -> bool:
        """Take a place for `key`; False if none is free. `most` overrides the quota's limit.

        `beyond`: allow that many places above the limit.
        """
        limit = self.most if most is None else most
        if limit is not None and self._held[key] >= limit + beyond:
            return False
        self._held[key] += 1
        return True

    def give_back(self, key: K) -> None:
        self._held[key] -= 1
        if self._held[key] <= 0:
            del self._held[key]
