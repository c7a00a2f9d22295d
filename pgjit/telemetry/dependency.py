"""A dependency: a server, a directory, a source of keys or secrets. It is used often and rarely fails.

Decides when its failure is a line in the log: when it fails after it worked, and when it works again. A dependency
that changes all the time writes a limited number of lines; the next line says how many changes had none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ["ExternalDependency"]

_log = logging.getLogger("pgjit.dependencies")
_LINES = 6
_PER_SECONDS = 600.0
"""So many lines in so many seconds at most. A failure and its end are two."""


class ExternalDependency:
    def __init__(self, kind: str, name: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`kind` and `name` are the labels of its metrics, and begin its lines."""
        self.kind = kind
        self.name = name
        self.failures = 0
        self.fault: str | None = None  # why its last use failed, if it did
        self._monotonic = monotonic
        self._failing_since: float | None = None
        self._failures_in_row = 0
        self._lines_left = float(_LINES)
        self._counted_at = monotonic()
        self._without_line = 0

    @property
    def up(self) -> bool:
        """Whether its last use succeeded, or it was not used yet."""
        return self._failing_since is None

    def failed(self, why: str) -> None:
        """Report a failed use. `why` holds no secret."""
        self.failures += 1
        self.fault = why
        self._failures_in_row += 1
        if self._failing_since is None:
            self._failing_since = self._monotonic()
            self._line(logging.WARNING, "fails: %s", why)

    def works(self) -> None:
        """Report a use that succeeded."""
        since, self.fault = self._failing_since, None
        if since is not None:
            self._failing_since = None
            lasted, failures = self._monotonic() - since, self._failures_in_row
            self._failures_in_row = 0
            self._line(logging.INFO, "works again after %.1f s and %d failures", lasted, failures)

    def _line(self, level: int, text: str, *values: object) -> None:
        now = self._monotonic()
        earned = (now - self._counted_at) * _LINES / _PER_SECONDS
        self._lines_left, self._counted_at = min(_LINES, self._lines_left + earned), now
        if self._lines_left < 1:
            self._without_line += 1
            return
        self._lines_left -= 1
        hidden, self._without_line = self._without_line, 0
        suffix = f" ({hidden} changes before this one have no line)" if hidden else ""
        _log.log(level, "%s %s " + text + "%s", self.kind, self.name, *values, suffix)
