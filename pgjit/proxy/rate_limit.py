"""What each of many may use of something by time: so much a second, and some more at once. Pure but for its clock.

Decides how long one has to wait who has used more. Nothing is refused: whoever goes on is slowed to the rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["RateLimit"]

_MOST_KEPT = 10_000

K = TypeVar("K", bound=Hashable)


class RateLimit(Generic[K]):
    """`rate` a second for each, and `burst` seconds' worth of it at once."""

    def __init__(self, rate: float, burst: float, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._steady = steady
        self._even: dict[K, float] = {}  # when each will have paid for all that it has used

    def use(self, who: K, amount: float) -> None:
        now = self._steady()
        self._even[who] = max(now, self._even.get(who, now)) + amount / self._rate
        if len(self._even) > _MOST_KEPT:
            self._even = {each: even for each, even in self._even.items() if even > now}

    def wait(self, who: K) -> float:
        """Seconds until `who` may go on."""
        return max(0.0, self._even.get(who, 0.0) - self._steady() - self._burst)
