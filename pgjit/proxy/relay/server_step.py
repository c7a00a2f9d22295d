"""A piece of the server's stream: what it would count, and what was made of it. Values."""

from __future__ import annotations

from typing import NamedTuple

from pgjit.audit.event import Event
from pgjit.errors import PgjitError
from pgwire.framing import BrokenStream, ControlMessage
from pgwire.whole_answer import WholeAnswer

__all__ = ["ScannedData", "ServerStep", "new_scanned_data"]


new_scanned_data = tuple.__new__
"""A third of what `ScannedData()` costs."""


class ScannedData(NamedTuple):
    """Whole messages, and at the end perhaps a part of a data message."""

    chunk: bytes
    controls: list[ControlMessage]
    fault: BrokenStream | None
    missing: int  # bytes of the last message that are still to come; it counts with its whole length
    answer: WholeAnswer | None = None  # to an exchange: then there are no `controls`

    @property
    def rows(self) -> int:
        """How many rows it may count, at most."""
        return sum(rows for _, _, _, rows, _ in self.controls) if self.answer is None else self.answer[0]

    @property
    def bytes(self) -> int:
        """How many bytes it may count, at most."""
        return len(self.chunk) + self.missing


class ServerStep:
    """The result of a piece of the server's stream."""

    fault: PgjitError | None = None  # the session cannot go on
    reason: str = "server"  # of the fault, for the journal
    to_server: bytes = b""  # to be sent to the server
    cancel: bool = False  # the result is over a limit: the statement is to be cancelled at the server

    def __init__(self, data: list[bytes] | None = None, events: list[Event] | None = None) -> None:
        """`data`: for the client, in order."""
        self.data: list[bytes] = [] if data is None else data
        self.events: list[Event] = [] if events is None else events
