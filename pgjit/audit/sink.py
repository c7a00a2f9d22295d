"""The contract of an audit sink: it keeps the journal's lines. It knows bytes, not records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

__all__ = ["Sink", "SinkBroken"]


class SinkBroken(OSError):
    """The content of the sink is not known any more. Nothing may be appended until it is opened again."""


class Sink(Protocol):
    """Lines in order, by one writer. Every method may block; `flush` is called from another thread."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    def open(self) -> bytes | None:
        """Open it for this process alone. Returns its last line; None if it is empty.

        A line that a crash left unfinished is moved to another place first. Raises OSError.
        """

    def append(self, lines: bytes) -> None:
        """Append all of these lines or none. When it returns, they survive the end of this process.

        Raises OSError if nothing was appended, SinkBroken if that is not certain.
        """

    def probe(self) -> None:
        """Raise OSError if an append would fail now. Leaves no trace."""

    def lines_back(self) -> Iterator[bytes]:
        """The complete lines, the last first. Raises OSError."""

    def flush(self) -> None:
        """Return when everything appended before the call survives a crash of the machine. Raises OSError."""

    def close(self) -> None: ...
