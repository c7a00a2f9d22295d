"""A queue that serves its owners in turns (round robin), and each owner's work in order.

Decides whose work comes next, and how much work one owner may queue. Pure; does not know the work.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class FairQueue(Generic[K, T]):
    """An owner that was served goes to the end: work waits for at most one piece of work of each other owner."""

    def __init__(self, limit_per_owner: int) -> None:
        self._limit = limit_per_owner
        self._queues: OrderedDict[K, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(work) for work in self._queues.values())

    def put(self, owner: K, work: T) -> bool:
        """Append work. False if the queue of `owner` is full."""
        queue = self._queues.setdefault(owner, deque())
        if len(queue) >= self._limit:
            return False
        queue.append(work)
        return True

    def take(self) -> T | None:
        """The next work; None if the queue is empty."""
        if not self._queues:
            return None
        owner, queue = self._queues.popitem(last=False)
        work = queue.popleft()
        if queue:
            self._queues[owner] = queue
        return work

    def drop(self, owner: K, work: T) -> None:
        """Remove work that is no longer needed; does nothing if it was taken already."""
        queue = self._queues.get(owner)
        if queue is None or work not in queue:
            return
        queue.remove(work)
        if not queue:
            del self._queues[owner]
