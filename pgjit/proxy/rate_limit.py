"""A rate limit for each key, as a token bucket: `rate` a second, with a burst. Pure, except for its clock.

Decides how long a key has to wait after it used more than its rate. Nothing is refused: the user is slowed down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["RateLimit"]

_MOST_KEYS = 10_000

K = TypeVar("K", bound=Hashable)


class RateLimit(Generic[K]):
    """`rate` a second for each key; the burst is `burst` seconds' worth."""

    def __init__(self, rate: float, burst: float, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._steady = steady
        self._paid_until: dict[K, float] = {}  # when the rate has covered all that the key used

    def change(self, rate: float) -> None:
        self._rate = rate

    def use(self, key: K, amount: float) -> None:
        now = self._steady()
        self._paid_until[key] = max(now, self._paid_until.get(key, now)) + amount / self._rate
        if len(self._paid_until) > _MOST_KEYS:
            self._paid_until = {key: until for key, until in self._paid_until.items() if until > now}

    def wait(self, key: K) -> float:
        """Seconds until `key` is within its rate again."""
        return max(0.0, self._paid_until.get(key, 0.0) - self._steady() - self._burst)
