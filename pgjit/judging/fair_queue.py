"""Whose turn it is: work that waits, taken round by round of its owners, and in order of each.

Decides who comes next and how much one owner may have waiting. Pure; knows nothing of the work.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class FairQueue(Generic[K, T]):
    """Whoever has just had a turn comes last: nobody waits for more than one piece of each of the others."""

    def __init__(self, most_of_owner: int) -> None:
        self._most = most_of_owner
        self._waiting: OrderedDict[K, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(work) for work in self._waiting.values())

    def put(self, owner: K, work: T) -> bool:
        """Let it wait. False where `owner` has as much waiting as anyone may."""
        mine = self._waiting.setdefault(owner, deque())
        if len(mine) >= self._most:
            return False
        mine.append(work)
        return True

    def take(self) -> T | None:
        """The next; None where nothing waits."""
        if not self._waiting:
            return None
        owner, mine = self._waiting.popitem(last=False)
        work = mine.popleft()
        if mine:
            self._waiting[owner] = mine
        return work

    def drop(self, owner: K, work: T) -> None:
        """It is not wanted any more. Nothing happens where it was taken already."""
        mine = self._waiting.get(owner)
        if mine is None or work not in mine:
            return
        mine.remove(work)
        if not mine:
            del self._waiting[owner]
