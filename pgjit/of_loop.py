"""What there is once for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["OfLoop"]

T = TypeVar("T")


class OfLoop(Generic[T]):
    """Called, it returns the object of the event loop that runs in this thread. `make` makes one for each loop."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._here = threading.local()  # `known`: the loop that ran last in this thread, and its object

    def __call__(self) -> T:
        loop = asyncio.get_running_loop()
        known: tuple[asyncio.AbstractEventLoop, T] | None = getattr(self._here, "known", None)
        if known is None or known[0] is not loop:
            known = self._here.known = loop, self._make()
        return known[1]
