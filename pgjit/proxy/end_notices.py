"""Sends the notices before the end of a session, each at the first moment that the protocol allows one.

`relay/notices.py` decides what they say. Knows the pump only by its state: it forwards nothing, and waits for nothing
of the server's.
"""

from __future__ import annotations

import asyncio

from pgjit.clock import Clock
from pgjit.proxy.access import Access
from pgjit.proxy.relay.notices import BEFORE_END, end_notice
from pgjit.proxy.relay.pump import Pump
from pgjit.proxy.window.wait_until import wait_until
from pgjit.server.link import Link
from pgjit.turns import take_turn

__all__ = ["EndNotices", "may_send_notice", "send_end_notices"]

_BUSY_SECONDS = 0.25
"""Interval at which a session is checked that cannot be sent a notice now."""


class EndNotices:
    """The notices of one session."""

    def __init__(self, client: Link, pump: Pump, clock: Clock) -> None:
        self._client = client
        self._pump = pump
        self._clock = clock
        self._sending: asyncio.Task[None] | None = None

    def start(self, access: Access) -> None:
        """Send those before the end of `access`, in place of others that were not sent yet."""
        self.stop()
        self._sending = asyncio.create_task(send_end_notices(self._client, self._pump, access, self._clock))

    def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


async def send_end_notices(client: Link, pump: Pump, access: Access, clock: Clock) -> None:
    """Returns when the last one is sent. One that is late by the time of the next is left out."""
    # What a short window has behind it is left out: the notice at the login has its end.
    due = [until for before in BEFORE_END if not (until := clock.until(access.ends_at - before)).passed]
    for this, following in zip(due, [*due[1:], clock.until(access.ends_at)], strict=False):
        await wait_until(this)
        await take_turn()
        # No event reports that the last message was passed on whole.
        while not following.passed and not may_send_notice(pump):  # noqa: ASYNC110
            await asyncio.sleep(_BUSY_SECONDS)
        if following.passed or access.ends_at != pump.state.ends_at:
            continue  # it is late; or the end is earlier now, and its own notices start in a moment
        if pump.state.notices.wanted(pump.state.transaction_status):
            client.write(end_notice(access.window, access.ends_at, clock()))


def may_send_notice(pump: Pump) -> bool:
    """Between two messages of the server, and not during a COPY."""
    state = pump.state
    head = state.queue.head
    copying = state.copy_in.active or (head is not None and head.may_copy_out)
    return not (copying or pump.inside_message or state.ending or state.desynchronised)
