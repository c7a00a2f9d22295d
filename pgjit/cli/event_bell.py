"""Rings when the API reports an event, so that `--watch` reads again what may have changed.

Decides nothing about events: each one, of whatever kind, means that a list may have changed. Without a stream (an
older API, a connection that broke) it rings every few seconds instead. Events of other nodes are not in the stream;
the stream's own comments, every 15 seconds, ring as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

__all__ = ["EventBell"]

_WITHOUT_STREAM: Final = 5.0
_QUIET: Final = 20.0
_BETWEEN: Final = 1.0
"""However many events there are: lists are not read more often, as the API limits the calls of an identity."""

Lines = Callable[[], AbstractContextManager[Iterator[str] | None]]


class EventBell:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._streaming = False
        self._reader = threading.Thread(target=self._read, name="events", daemon=True)
        self._reader.start()

    def wait(self) -> bool:
        """Return when something may have changed: True for an event, False after a while without one."""
        self._closed.wait(_BETWEEN)
        rung = self._rung.wait(_QUIET if self._streaming else _WITHOUT_STREAM)
        self._rung.clear()
        return rung

    def close(self) -> None:
        self._closed.set()

    def _read(self) -> None:
        while not self._closed.is_set():
            try:
                with self._lines() as lines:
                    self._streaming = lines is not None
                    for line in lines or ():
                        if line.startswith(("event:", ":")):
                            self._rung.set()
                        if self._closed.is_set():
                            return
            except Exception:  # noqa: BLE001, S110 - the next call of the command reports what is wrong with the API
                pass
            self._streaming = False
            self._closed.wait(_WITHOUT_STREAM)
