"""The contract of an audit sink: it keeps the journal's lines. It knows bytes, not records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pgjit.audit.segments.segment import Segment

__all__ = ["OpenedSink", "Sink", "SinkBroken", "SinkLost", "TornLine"]


class SinkBroken(OSError):
    """The content of the sink is not known any more. Nothing may be appended until it is opened again."""


class SinkLost(OSError):
    """The content is not where it was. `reopen` finds it again, or begins an empty sink in its place."""


@dataclass(frozen=True, slots=True)
class TornLine:
    """What a crash left unfinished at the end, now in other files. Its record must be the next line."""

    line: int
    """The index that it would have had, from 0."""
    bytes: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenedSink:
    """What an opened sink has. Lines are with their newline."""

    last: bytes | None
    first_of_segment: bytes | None
    """The first line of the open segment; None if that is empty."""
    torn: TornLine | None


class Sink(Protocol):
    """Lines in order, by one writer. Every method may block; `flush` is called from another thread."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    @property
    def origin(self) -> str:
        """The name of this sequence of lines, different for each that ever began."""

    @property
    def lines(self) -> int:
        """How many lines were ever appended, those that are not kept any more included."""

    @property
    def open_bytes(self) -> int:
        """The size of the open segment."""

    def open(self) -> OpenedSink:
        """Open it for this process alone.

        A line that a crash left unfinished is moved to another place first. Raises OSError.
        """

    def append(self, lines: bytes) -> None:
        """Append all of these lines or none. When it returns, they survive the end of this process.

        Raises OSError if nothing was appended; of that SinkLost if `reopen` must be called first, and SinkBroken if
        it is not certain.
        """

    def rotate(self) -> None:
        """Close the open segment, if it has lines, and begin the next. Raises OSError, and then nothing changed."""

    def probe(self) -> None:
        """Raise OSError if an append would fail now. Leaves no trace."""

    def reopen(self, *, anew: bool = True) -> bool:
        """After SinkLost: whether the lines are there again. False: a new, empty sink has begun, with a new origin.

        Raises OSError if there is no place to write to; SinkLost if a new one would begin, and not `anew`.
        """

    def lines_back(self) -> Iterator[bytes]:
        """The complete lines that are kept, with their newlines, the last first. Raises OSError and ValueError."""

    def flush(self) -> tuple[Segment, ...]:
        """Return when everything appended before the call survives a crash of the machine. Raises OSError.

        Returns the segments that were closed since the last call, and are complete on the disk now.
        """

    def close(self) -> None: ...
