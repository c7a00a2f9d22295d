"""One execution with all messages that belong to it, while nothing else is with the server. Values.

A Query, or Bind, Describe, Execute and Sync, perhaps with the Parse before them: what most drivers send, and wait for
the answer. Such an exchange is kept as one object, for its answer usually comes in one piece as well. Where it does
not, or anything else is asked about it, it is unfolded into its requests (`send_queue.py`).
"""

from __future__ import annotations

from typing import Final

from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.named_values import Change, Portal, Prepared
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.messages.extended import DescribeTarget
from pgwire.state import RequestKind

__all__ = ["ANSWERS", "DESCRIBE", "DROPPED_BY_QUERY", "END_OF_EXCHANGE", "EXECUTE", "SYNC", "LoneExchange"]

DROPPED_BY_QUERY: Final = (Change("statement", b""), Change("portal", b""))

SYNC: Final = extended.sync()
EXECUTE: Final = extended.encode_execute(extended.Execute(b"", 0))
DESCRIBE: Final = extended.encode_target(b"D", DescribeTarget("P", b""))
END_OF_EXCHANGE: Final = tuple(Frame(raw[0], raw) for raw in (DESCRIBE, EXECUTE, SYNC))
"""How most of them end, for the reader of the frames."""

_QUERY, _PARSE, _BIND = RequestKind.QUERY, RequestKind.PARSE, RequestKind.BIND
_DESCRIBE, _EXECUTE, _SYNC = RequestKind.DESCRIBE_PORTAL, RequestKind.EXECUTE, RequestKind.SYNC
_KINDS: Final = {0x51: _QUERY, 0x50: _PARSE, 0x42: _BIND, 0x44: _DESCRIBE, 0x45: _EXECUTE, 0x53: _SYNC}

_PARSED, _BOUND = extended.parse_complete(), extended.bind_complete()
ANSWERS: Final = {
    b"Q": (b"", b"TC"),
    b"BES": (_BOUND, b"DC"),
    b"BDES": (_BOUND, b"Tn"),
    b"PBES": (_PARSED + _BOUND, b"DC"),
    b"PBDES": (_PARSED + _BOUND, b"Tn"),
}
"""By the messages: how the answer begins, and the types of the message that may follow (`read_whole_answer`)."""


class LoneExchange:
    """As a request in flight it has a `segment`, and is `answered` at last."""

    __slots__ = ("_requests", "answer", "done", "messages", "parsed", "portal", "run", "segment", "size")

    def __init__(
        self,
        messages: list[bytes],
        answer: tuple[bytes, bytes],
        segment: int,
        size: int,
        run: Run,
        portal: Portal | None = None,
        parsed: Prepared | None = None,
    ) -> None:
        """`answer`: of `ANSWERS`. `portal`, `parsed`: what its Bind and its Parse make."""
        self.messages = messages
        self.answer = answer
        self.segment = segment
        self.size = size
        self.run = run
        self.portal = portal
        self.parsed = parsed
        self.done = False  # all of it was answered
        self._requests: list[InFlight] | None = None

    @property
    def answered(self) -> bool:
        """Whether the server has finished with its changes of names, or never will begin."""
        return self.done or (self._requests is not None and self._requests[self._last_change].answered)

    @property
    def _last_change(self) -> int:
        """The index of the Bind, or of the Query."""
        return 0 if self.parsed is None else 1

    def unfold(self) -> list[InFlight]:
        """Its requests, one for each message."""
        if self._requests is None:
            self._requests = [self._request(raw) for raw in self.messages]
        return self._requests

    def _request(self, raw: bytes) -> InFlight:
        request = InFlight(_KINDS[raw[0]], segment=self.segment, size=len(raw))
        if request.kind is _PARSE and self.parsed is not None:
            request.changes = (Change("statement", b"", self.parsed),)
        elif request.kind is _BIND and self.portal is not None:
            request.changes = (Change("portal", b"", self.portal),)
        elif request.kind is _QUERY:
            request.changes = DROPPED_BY_QUERY
        if request.kind in (_QUERY, _EXECUTE):
            request.runs.append(self.run)
        return request
