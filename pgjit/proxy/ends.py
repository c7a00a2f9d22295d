"""Ends several sessions at once: a window's, those of an identity that is no member any more, all of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from pgjit.turns import take_turn

__all__ = ["EndableSession", "end_sessions"]


class EndableSession(Protocol):
    """The part of a live session that ends it."""

    @property
    def idle(self) -> bool:
        """Nothing runs in it, and no transaction is open."""

    def cut_off(self) -> None:
        """Forward nothing more of the client, nor what is recorded already. It must be ended soon."""

    async def end(self, reason: str, explanation: str | None = None) -> None:
        """End it, and wait until its backend is gone."""


async def end_sessions(
    sessions: Collection[EndableSession], reason: str, explanation: str | None = None, *, in_turn: bool = False
) -> None:
    """End them, and return when their backends are gone.

    Nothing more of any client is forwarded from the first moment on, and what runs is stopped first: to end thousands
    of sessions takes seconds. `in_turn`: the caller has waited for a turn, which is that of the first session.
    """
    for session in sessions:
        session.cut_off()
    ends: list[asyncio.Task[None]] = []
    try:
        for session in sorted(sessions, key=lambda each: each.idle):
            if ends or not in_turn:
                await take_turn(ends=True)
            ends.append(asyncio.create_task(session.end(reason, explanation)))
        await asyncio.gather(*ends)
    finally:
        for end in ends:
            end.cancel()
