"""The contract of an audit sink: where the journal's lines go. It keeps bytes and knows no record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

__all__ = ["Sink", "SinkBroken"]


class SinkBroken(OSError):
    """What is in the sink is no longer known. Nothing more may be appended until it was opened anew."""


class Sink(Protocol):
    """Lines in order, by one writer. Every method may block; `flush` is called from another thread."""

    @property
    def name(self) -> str:
        """Where it is, for people."""

    def open(self) -> bytes | None:
        """Take it for this process alone; the last line that is in it, or None when it is empty.

        A line that a crash left half-written is moved aside first. Raises OSError.
        """

    def append(self, lines: bytes) -> None:
        """Put whole lines at the end, where they outlive this process; all of them or none.

        Raises OSError when they could not be taken and nothing of them is left, SinkBroken when that is
        not certain.
        """

    def probe(self) -> None:
        """Raise OSError if an append would fail now. Leaves no trace."""

    def lines_back(self) -> Iterator[bytes]:
        """The whole lines that are in it now, the last one first. Raises OSError."""

    def flush(self) -> None:
        """Return when everything appended before the call outlives the machine. Raises OSError."""

    def close(self) -> None: ...
