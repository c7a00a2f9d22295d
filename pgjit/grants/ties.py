"""Whether a reviewer owns or sponsors an app or agent that a request comes from, by the directory.

Decides how old an answer may be, and that no verdict is given without one. Without a directory that knows owners, the
claims of the requester's token are all that is known. An owner's owners are not looked up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pgjit.errors import ServerUnavailable
from pgjit.grants.request import Request
from pgjit.grants.window import Window
from pgjit.identity.directory import DirectoryUnavailable, Owners, OwnersDirectory, Principal
from pgjit.identity.identity import IdentityKey, IdentityKind

__all__ = ["Ties"]

_log = logging.getLogger("pgjit.grants")
_USERS = (IdentityKind.USER, IdentityKind.AGENT_USER)
_AGE = timedelta(seconds=60)
_SOON_SECONDS = 5.0
_MOST_ANSWERS = 1000
_MOST_QUERIES = 4


class Ties:
    def __init__(self, directory: OwnersDirectory | None, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._clock = clock
        self._answers: dict[IdentityKey, tuple[datetime, Owners]] = {}
        self._slots = asyncio.Semaphore(_MOST_QUERIES)

    async def to_request(self, reviewer: IdentityKey, request: Request) -> frozenset[IdentityKey]:
        """Those of the requester's own principals that the reviewer owns or sponsors. Raises ServerUnavailable."""
        people = {request.ask.identity} if request.kind in _USERS else set()
        return await self.to(reviewer, request.own - people)

    async def to_window(self, reviewer: IdentityKey, window: Window) -> frozenset[IdentityKey]:
        """Those of the principals behind the window that the reviewer owns or sponsors. Raises ServerUnavailable."""
        people = {window.identity} if window.holder is not None and window.holder.kind in _USERS else set()
        return await self.to(reviewer, (window.own | {window.identity}) - people)

    async def owners_of(self, keys: Iterable[IdentityKey]) -> frozenset[IdentityKey]:
        """The owners and sponsors of these apps and agents, as far as the directory answers soon. Raises nothing.

        They stay excluded from the verdict, whoever leaves the ownership before it. Members of a group that owns are
        not among them: they are looked up at the verdict.
        """
        found: set[IdentityKey] = set()
        if self._directory is None:
            return frozenset()
        try:
            async with asyncio.timeout(_SOON_SECONDS):
                for key in sorted(keys):
                    found |= (await self._owners(self._directory, key)).principals
        except (DirectoryUnavailable, TimeoutError) as unavailable:
            _log.warning("owners and sponsors of a requester, for its request: %s", unavailable)
        return frozenset(found)

    async def to(self, reviewer: IdentityKey, keys: Iterable[IdentityKey]) -> frozenset[IdentityKey]:
        """Those of `keys` that the reviewer owns or sponsors. Raises ServerUnavailable."""
        directory = self._directory
        if directory is None:
            return frozenset()
        try:
            return frozenset([key for key in sorted(keys) if await self._tied(directory, reviewer, key)])
        except DirectoryUnavailable as unavailable:
            _log.warning("owners and sponsors of a requester: %s", unavailable)
            raise ServerUnavailable(
                "owners and sponsors of the requester cannot be checked now",
                reference="owners-unknown",
                detail="Nobody decides on a request of their own agent, so nothing was decided.",
                hint="Try again in a moment; the operators of this proxy have to look at its directory.",
            ) from None

    async def _tied(self, directory: OwnersDirectory, reviewer: IdentityKey, key: IdentityKey) -> bool:
        owners = await self._owners(directory, key)
        if reviewer in owners.principals:
            return True
        if not owners.groups or reviewer.tid != key.tid:
            return False
        async with self._slots:
            answer = await directory.look_up(Principal(reviewer, is_user=True), owners.groups, self._clock())
        return not answer.groups.isdisjoint(owners.groups)

    async def _owners(self, directory: OwnersDirectory, key: IdentityKey) -> Owners:
        now = self._clock()
        at, owners = self._answers.get(key, (None, Owners()))
        if at is not None and timedelta() <= now - at < _AGE:
            return owners
        async with self._slots:
            owners = await directory.owners(key, now)
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        self._answers[key] = (now, owners)
        return owners
