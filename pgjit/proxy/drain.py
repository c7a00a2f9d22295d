"""The sessions' part of a shutdown: each is notified, and ends at its next idle moment.

Decides when a session is ended: at an idle moment, at the latest when its time is over. How one ends is decided by
`session_end.py`. Does not know the listener.
"""

from __future__ import annotations

import asyncio

from pgjit.errors import PgjitError
from pgjit.proxy.registry import RegisteredSession, Registry
from pgjit.turns import take_turn
from pgwire.messages.query import error_response

__all__ = ["NotAccepting", "SessionDrain", "passed"]

_END_SECONDS = 30.0
"""Time that a shutdown waits for backends to be gone. The next process ends those that remain."""
_LOOK_SECONDS = 0.05
_ANNOUNCE_SECONDS = 0.2
_QUIET_SECONDS = 0.25
"""A session that ran nothing since the shutdown began is ended after so long without a statement."""


class NotAccepting(PgjitError):
    """pgjit is stopping, and opens no further session. With 57P03 libpq tries the next of several hosts."""

    sqlstate = "57P03"
    severity = "FATAL"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "pgjit is shutting down",
            reference="shutting-down",
            hint="Connect again in a moment, or to another node: an open window is joined by the next connection.",
        )


class SessionDrain:
    """`announce_for` comes first, then `run`. `at_once`: when it is set, nothing is waited for any more."""

    def __init__(self, registry: Registry, at_once: asyncio.Event) -> None:
        self._registry = registry
        self._at_once = at_once
        self._notified: set[RegisteredSession] = set()
        self._executions: dict[RegisteredSession, int] = {}  # as of the first look
        self._idle_since: dict[RegisteredSession, float] = {}
        self._ends: dict[RegisteredSession, asyncio.Task[None]] = {}

    async def announce_for(self, seconds: float) -> None:
        """Notify the sessions, also those that open meanwhile, until `seconds` have passed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0 and not self._at_once.is_set():
            await self._announce()
            await passed(min(left, _ANNOUNCE_SECONDS), self._at_once)

    async def run(self, seconds: float, logins: asyncio.Future[None]) -> None:
        """End the sessions, also those that open before `logins` is done. Returns when their backends are gone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds

        def time_is_over() -> bool:
            return self._at_once.is_set() or loop.time() >= until

        while len(self._registry) or not logins.done():
            over = time_is_over()
            await self._announce()
            for session in self._registry:
                await take_turn(ends=True)
                if time_is_over() or self._rests(session, loop.time()):
                    self._end(session)
            if not logins.done():
                await asyncio.wait({logins}, timeout=_LOOK_SECONDS)
            elif over:
                break
            else:
                await asyncio.sleep(_LOOK_SECONDS)
        await self._wait_for_ends()

    async def _wait_for_ends(self) -> None:
        if ends := [end for end in self._ends.values() if not end.done()]:
            _, remaining = await asyncio.wait(ends, timeout=_END_SECONDS)
            for end in remaining:
                end.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)
        for session in self._registry:
            session.abandon()

    async def _announce(self) -> None:
        for session in self._registry:
            if session not in self._notified:
                await take_turn(ends=True)
                if session.send_notice(_NOTICE):
                    self._notified.add(session)

    def _rests(self, session: RegisteredSession, now: float) -> bool:
        """Whether it may be ended: it is idle, after it ran something, or for long enough.

        A client that has just logged in, or runs one statement after the other, is about to send the next.
        """
        first = self._executions.setdefault(session, session.executions)
        if not session.idle:
            self._executions[session] = -1  # it runs something: its next idle moment is the one
            return False
        return session.executions > first or now >= self._idle_since.setdefault(session, now) + _QUIET_SECONDS

    def _end(self, session: RegisteredSession) -> None:
        if session not in self._ends:
            self._ends[session] = asyncio.create_task(session.end("shutdown"))


async def passed(seconds: float, at_once: asyncio.Event) -> None:
    """Return after `seconds`, or when the event is set."""
    try:
        async with asyncio.timeout(seconds):
            await at_once.wait()
    except TimeoutError:
        return


_NOTICE = error_response(
    {
        "S": "NOTICE",
        "V": "NOTICE",
        "C": "00000",
        "M": "pgjit is shutting down",
        "D": "This session ends when it has no running statement and no open transaction, or soon without that.",
        "H": "Finish and commit your work, then connect again: the window keeps its end.",
        "R": "pgjit:shutting-down",
    },
    notice=True,
)
