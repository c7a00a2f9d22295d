"""Applies changed policies and connections to what is open: windows end or get shorter, sessions follow or leave.

Decides for each open window and session what a change means for it. All of that is decided in one step of the event
loop, so that no statement is judged by rules that are not in force any more; the notices of the new ends follow.
`current_policies.py` decides when a window ends, `policy_change.py` which sessions go on.

INVARIANT: nothing that is open becomes longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pgjit.cycle_collection import freeze_replaced
from pgjit.errors import JournalUnavailable, PgjitError
from pgjit.grants.window import Window
from pgjit.judging.judge import next_number
from pgjit.policy.policy import Policy
from pgjit.policy.policy_change import carries_on, for_others
from pgjit.proxy.registry import RegisteredSession
from pgjit.proxy.services import Services
from pgjit.proxy.window.current_policies import OTHER_GROUP, end_under
from pgjit.turns import in_pieces

__all__ = ["ChangedWindow", "Followed", "PolicyFollowing"]

_log = logging.getLogger("pgjit.reload")

_Fate = Literal["stay", "follow", "terms-changed", "connection-changed"]


@dataclass(frozen=True, slots=True)
class ChangedWindow:
    """A window that ends earlier. `reason`: `ttl` if it only became shorter."""

    window: Window
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of what was open."""

    windows: tuple[ChangedWindow, ...] = ()
    following: int = 0  # sessions that go on, judged by the new rules
    leaving: int = 0  # sessions that have to log in again


class PolicyFollowing:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(
        self, before: Mapping[str, Policy], connections: Collection[str] = (), *, seconds: float = 10.0
    ) -> Followed:
        """The policies, and these connections, were changed a moment ago; nothing was awaited since.

        `before`: the policies as they were. `seconds`: what running statements of sessions that leave may take.
        """
        services, rules_since = self._services, next_number()
        now = services.policies
        changed = {name for name, policy in before.items() if now.get(name) is not policy}
        services.forget_judges(changed)
        windows = [found for window in services.windows.live() if (found := self._window(window, before)) is not None]
        ends = {each.window.id: each for each in windows}
        fates: dict[int, _Fate] = {}  # of each version of a policy: thousands of sessions share one
        following = leaving = 0
        shorter: list[RegisteredSession] = []
        for session in services.registry:
            policy, end = session.policy, ends.get(session.window_id or "")
            if policy is None:
                continue
            if end is not None and end.reason != "ttl":
                session.cut_off()  # until its window's end reaches it, a moment later
                continue
            if (fate := fates.get(id(policy))) is None:
                fate = fates[id(policy)] = self._fate(policy, connections)
            if fate == "follow":
                following += 1
                if session.follow(now[policy.name], None if end is None else end.ends_at, rules_since):
                    shorter.append(session)
            elif fate != "stay":
                leaving += 1
                self._leave(session, fate, seconds)
        freeze_replaced(following)
        if shorter:
            self._begin(_renew_notices(shorter))
        return Followed(tuple(windows), following, leaving)

    def _fate(self, policy: Policy, connections: Collection[str]) -> _Fate:
        """What becomes of sessions under this version of the policy whose windows go on."""
        if policy.connection in connections:
            return "connection-changed"
        current = self._services.policies.get(policy.name)
        if current is policy:
            return "stay"
        return "follow" if current is not None and carries_on(policy, current) else "terms-changed"

    def _window(self, window: Window, before: Mapping[str, Policy]) -> ChangedWindow | None:
        """End or shorten the window, where the policies as they are say so."""
        services = self._services
        ends_at, reason, explanation = end_under(window, services.policies, services.clock())
        if reason == "ttl" and self._is_lost(window, before.get(window.policy)):
            ends_at, reason, explanation = services.clock(), "policy-changed", OTHER_GROUP
        if reason != "ttl":
            services.windows.end_now(window, reason, explanation)
        elif not services.windows.shorten(window, ends_at):
            return None
        return ChangedWindow(window, ends_at, reason)

    def _is_lost(self, window: Window, before: Policy | None) -> bool:
        """Whether the policy is for others now, and no session shows that the window's identity is among them."""
        now = self._services.policies[window.policy]
        if before is None or not for_others(before, now):
            return False
        views = [session.view for session in self._services.registry.of_window(window.id)]
        identities = [view.identity for view in views if view is not None]
        return not any(now.identity.selects(now.group, each.groups, each.roles) for each in identities)

    # --- afterwards, a few at a time ------------------------------------------------------------------

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave(self, session: RegisteredSession, reason: str, seconds: float) -> None:
        session.hold()
        self._begin(self._left(session, reason, seconds))

    async def _left(self, session: RegisteredSession, reason: str, seconds: float) -> None:
        try:
            await session.leave(reason, seconds)
        except JournalUnavailable:
            _log.error("the end of a session could not be recorded")
        except PgjitError as fault:
            _log.error("a session was not ended: %s", fault.message)

    async def close(self) -> None:
        """Sessions that still leave are ended by whoever ends all sessions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _renew_notices(sessions: Collection[RegisteredSession]) -> None:
    async for session in in_pieces(sessions):
        session.renew_notices()
        freeze_replaced(len(sessions))  # after each: it looks at nothing, and takes no time
