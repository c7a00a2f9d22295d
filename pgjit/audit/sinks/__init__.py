"""The audit sinks by name. A new one takes a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pgjit.audit.sink import Sink
from pgjit.audit.sinks.file import FileSink

__all__ = ["SINKS"]


def _file(path: Path) -> Sink:
    return FileSink(path)


SINKS: Mapping[str, Callable[[Path], Sink]] = {
    "file": _file,
}
