"""The program's own log: lines on standard error, written by a thread of its own.

Decides what happens when nobody reads them. A full pipe holds up the writing thread alone: the lines wait in a queue,
and those beyond its limit are dropped and counted. The event loop never waits.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from types import TracebackType
from typing import Literal, Self

from pgjit.telemetry.log_line import JsonLines, TextLines

__all__ = ["LineWriter", "ProgramLog"]

_MOST_LINES = 10_000
_CLOSE_SECONDS = 2.0
_NOISY = ("alembic", "asyncio", "httpx", "httpcore", "opentelemetry", "urllib3")
"""Loggers of libraries: their warnings only."""


class LineWriter(logging.Handler):
    """Writes lines to a file descriptor from its own thread. `dropped`: how many found the queue full."""

    def __init__(self, descriptor: int, most: int = _MOST_LINES) -> None:
        super().__init__()
        self.dropped = 0
        self._descriptor = descriptor
        self._reported = 0
        self._lines: queue.Queue[bytes | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._write_all, name="program log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 - a line that cannot be made must not fail its caller
            line = f"a line of {record.name} cannot be formatted\n".encode(errors="backslashreplace")
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is queued, for two seconds at most."""
        try:
            self._lines.put(None, timeout=_CLOSE_SECONDS)
        except queue.Full:
            pass
        else:
            self._thread.join(_CLOSE_SECONDS)
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if (lost := self.dropped - self._reported) > 0:
                self._reported += lost
                line += f"{lost} lines of the log were dropped, because nobody read them in time\n".encode()
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # the reader is gone: there is nowhere to report it
                self.dropped += 1


class ProgramLog:
    """`with ProgramLog("json", "info"):` sends everything that is logged to standard error as lines."""

    def __init__(self, form: Literal["text", "json"] = "text", level: str = "info", descriptor: int = 2) -> None:
        self.writer = LineWriter(descriptor)
        self._set(form, level)
        self._before: tuple[list[logging.Handler], int] = ([], logging.WARNING)

    def _set(self, form: Literal["text", "json"], level: str) -> None:
        self.writer.setFormatter(JsonLines() if form == "json" else TextLines())
        self._level: int = getattr(logging, level.upper())

    def change(self, form: Literal["text", "json"], level: str) -> None:
        """The form and the level of the lines from now on."""
        self._set(form, level)
        self._apply_level()

    def _apply_level(self) -> None:
        logging.getLogger().setLevel(self._level)
        for noisy in _NOISY:
            logging.getLogger(noisy).setLevel(max(self._level, logging.WARNING))

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._before = (root.handlers, root.level)
        root.handlers, root.level = [self.writer], root.level
        self._apply_level()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = logging.getLogger()
        root.handlers, level = self._before[0], self._before[1]
        root.setLevel(level)
        self.writer.close()
