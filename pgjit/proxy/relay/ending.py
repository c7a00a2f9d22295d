"""Whether a session's traffic is over, and why. The first reason counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pgjit.errors import PgjitError, ProtocolFault

__all__ = ["Ending", "TrafficEnd"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the traffic is over. `clean`: the client sent Terminate with nothing running."""

    reason: str
    error: PgjitError | None = None
    clean: bool = False
    error_sent: bool = False  # the client has the server's own error already


class TrafficEnd:
    def __init__(self) -> None:
        self.future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    @property
    def passed(self) -> bool:
        return self.future.done()

    def set(self, ending: Ending) -> None:
        if not self.future.done():
            self.future.set_result(ending)

    def set_fault(self) -> None:
        """A fault of our own must end the session, not leave it hanging."""
        self.set(Ending("fault", ProtocolFault("terminating connection: the proxy failed")))
