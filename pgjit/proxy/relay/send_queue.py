"""The requests that were sent to the server and are not answered to the end, in the order of sending.

Decides in which segment a request is: an error makes the server pass over the rest of its segment, up to Sync.
Does not know what the requests run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from pgjit.proxy.relay.in_flight import InFlight
from pgwire.state import RequestKind

__all__ = ["SendQueue"]

_ENDS_SEGMENT = (RequestKind.SYNC, RequestKind.QUERY, RequestKind.FUNCTION_CALL)


class SendQueue:
    def __init__(self) -> None:
        self.requests: deque[InFlight] = deque()
        self.head: InFlight | None = None  # the first one: the server is dealing with it
        self.bytes = 0  # of the messages in it
        self.segment = 0  # of the next request

    @property
    def single(self) -> bool:
        """At most one unit of work is with the server: when it is cancelled, nothing is left to run."""
        return sum(request.kind in (RequestKind.QUERY, RequestKind.SYNC) for request in self.requests) <= 1

    @property
    def has_sync(self) -> bool:
        return any(request.kind is RequestKind.SYNC for request in self.requests)

    def before_sync(self) -> Iterator[InFlight]:
        """The requests that an error of the head makes the server pass over, the head first."""
        return takewhile(lambda request: request.kind is not RequestKind.SYNC, self.requests)

    def append(self, request: InFlight, size: int) -> None:
        request.size = size
        self.bytes += size
        self.requests.append(request)
        if self.head is None:
            self.head = request
        if request.kind in _ENDS_SEGMENT:
            self.segment += 1

    def pop(self) -> InFlight:
        """Take out the head: it is answered, or will not be."""
        first = self.requests.popleft()
        self.head = self.requests[0] if self.requests else None
        self.bytes -= first.size
        return first
