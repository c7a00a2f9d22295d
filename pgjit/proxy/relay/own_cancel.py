"""pgjit's own cancel request for what a session runs at the server, at most one at a time.

While it is under way nothing is sent to the server: the request could cancel that, too.
"""

from __future__ import annotations

import asyncio

from pgjit.server.upstream import Upstream, cancel_running

__all__ = ["OwnCancel"]

_SECONDS = 5.0


class OwnCancel:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._request: asyncio.Task[bool] | None = None

    def start(self) -> None:
        if self.under_way is None:
            self._request = asyncio.create_task(cancel_running(self._upstream, _SECONDS))

    @property
    def under_way(self) -> asyncio.Task[bool] | None:
        if self._request is not None and self._request.done():
            self._request = None
        return self._request
