"""The groups of a caller: looked up in the directory for each call that changes something.

Decides how old an answer may be. Without a directory the groups are those of the token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.directory import Directory, DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId, Identity

__all__ = ["CallerGroups"]

_log = logging.getLogger("pgjit.api")
_MOST_ANSWERS = 10_000
_READ_AGE = timedelta(seconds=60)
_MOST_QUERIES = 8


class CallerGroups:
    def __init__(
        self, directory: Directory | None, groups: Callable[[], frozenset[GroupId]], clock: Callable[[], datetime]
    ) -> None:
        """`groups` returns those that matter now: the directory is queried for these only."""
        self._directory = directory
        self._groups = groups
        self._answered = groups()  # the groups that the answers are about
        self._clock = clock
        self._answers: dict[Principal, DirectoryAnswer] = {}
        self._slots = asyncio.Semaphore(_MOST_QUERIES)

    @property
    def known(self) -> bool:
        """Whether groups of others can be looked up."""
        return self._directory is not None

    async def resolve(self, identity: Identity, *, fresh: bool) -> tuple[Identity, datetime]:
        """The identity with its groups, and when they were looked up.

        `fresh`: by a query that begins now. INVARIANT: nothing is changed by a membership that ended before the call.
        Raises TokenRefused for an account that is disabled or gone, ServerUnavailable without an answer.
        """
        if self._directory is None:
            return identity, identity.issued_at
        acting = Principal.acting_for(identity)
        principals = [Principal.of(identity), *([] if acting is None else [acting])]
        answers = await asyncio.gather(*(self._answer(each, fresh=fresh) for each in principals))
        for answer in answers:
            if answer.state is not PrincipalState.ENABLED:
                raise TokenRefused(f"account-{answer.state}", f"the directory reports an account as {answer.state}")
        return replace(identity, groups=answers[0].groups, groups_known=True), answers[0].at

    async def look_up(self, principal: Principal) -> DirectoryAnswer:
        """The directory's answer about somebody else. Raises ServerUnavailable."""
        return await self._answer(principal, fresh=False)

    async def _answer(self, principal: Principal, *, fresh: bool) -> DirectoryAnswer:
        now, groups = self._clock(), self._groups()
        if groups != self._answered:
            self._answered = groups
            self._answers.clear()
        known = self._answers.get(principal)
        if not fresh and known is not None and timedelta() <= now - known.at < _READ_AGE:
            return known
        assert self._directory is not None
        try:
            async with self._slots:
                answer = await self._directory.look_up(principal, groups, self._clock())
        except DirectoryUnavailable as unavailable:
            _log.warning("memberships of a caller: %s", unavailable)
            raise ServerUnavailable(
                "memberships cannot be checked now",
                reference="directory-unavailable",
                hint="Try again in a moment; the operators of this proxy have to look at its directory.",
            ) from None
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        if groups == self._answered:
            self._answers[principal] = answer
        return answer
