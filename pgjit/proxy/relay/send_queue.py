"""The requests that were sent to the server and are not answered to the end, in the order of sending.

Decides in which segment a request is: an error makes the server pass over the rest of its segment, up to Sync.
An exchange that is alone with the server stays one object until someone asks for the requests. Does not know what the
requests run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from pgjit.proxy.relay.exchange import LoneExchange
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgwire.state import RequestKind

__all__ = ["SendQueue"]

_ENDS_SEGMENT = (RequestKind.SYNC, RequestKind.QUERY, RequestKind.FUNCTION_CALL)


class SendQueue:
    def __init__(self) -> None:
        self._requests: deque[InFlight] = deque()
        self.exchange: LoneExchange | None = None  # all that is with the server; then there are no other requests
        self.first: InFlight | None = None  # as `head`, if there is no exchange
        self.bytes = 0  # of the messages in it
        self.segment = 0  # of the next request

    @property
    def empty(self) -> bool:
        return self.first is None and self.exchange is None

    @property
    def requests(self) -> deque[InFlight]:
        if self.exchange is not None:
            self.unfold()
        return self._requests

    @property
    def head(self) -> InFlight | None:
        """The first request: the server is dealing with it."""
        if self.exchange is not None:
            self.unfold()
        return self.first

    @property
    def running(self) -> Run | None:
        """The execution that the server is dealing with, or will next; None if nothing runs. It unfolds nothing."""
        if self.exchange is not None:
            return self.exchange.run
        for request in self._requests:
            if request.rejection is None and not request.answered and (run := request.current) is not None:
                return run
        return None

    @property
    def single(self) -> bool:
        """One unit of work is with the server: when it is cancelled, nothing is left to run."""
        ends = sum(request.kind in (RequestKind.QUERY, RequestKind.SYNC) for request in self.requests)
        return not self.empty and ends <= 1

    @property
    def has_sync(self) -> bool:
        return any(request.kind is RequestKind.SYNC for request in self.requests)

    def before_sync(self) -> Iterator[InFlight]:
        """The requests that an error of the head makes the server pass over, the head first."""
        return takewhile(lambda request: request.kind is not RequestKind.SYNC, self.requests)

    def append(self, request: InFlight, size: int) -> None:
        if self.exchange is not None:
            self.unfold()
        request.size = size
        self.bytes += size
        self._requests.append(request)
        if self.first is None:
            self.first = request
        if request.kind in _ENDS_SEGMENT:
            self.segment += 1

    def pop(self) -> InFlight:
        """Take out the head: it is answered, or will not be."""
        requests = self._requests
        first = requests.popleft()
        self.first = requests[0] if requests else None
        self.bytes -= first.size
        return first

    def begin(self, exchange: LoneExchange) -> None:
        """It was sent, and the queue is empty."""
        self.exchange = exchange
        self.bytes += exchange.size
        self.segment += 1

    def end(self, exchange: LoneExchange) -> None:
        """All of it was answered at once."""
        exchange.done = True
        self.exchange = None
        self.bytes -= exchange.size

    def unfold(self) -> None:
        if self.exchange is not None:
            self._requests.extend(self.exchange.unfold())
            self.exchange, self.first = None, self._requests[0]
