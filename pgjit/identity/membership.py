"""Who is still a member: what a directory's answers mean for sessions, and when it is asked again. Pure.

Decides from the latest answer about each identity. Knows no directory and no session: `now` and answers are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from pgjit.identity.directory import Found, Principal, State
from pgjit.identity.identity import GroupId

__all__ = ["GroupSource", "Roll", "Schedule", "Verdict", "verdict"]

_RETRY_FIRST = timedelta(seconds=2)


class GroupSource(StrEnum):
    """Where the groups of an identity come from."""

    CLAIM = "claim"  # the token alone: a change is seen with the next token
    GRAPH = "graph"  # the directory, at login and while sessions live
    CLAIM_THEN_GRAPH = "claim-then-graph"  # the token at login, the directory from then on


class Verdict(Enum):
    MEMBER = auto()
    LOST = auto()  # not a member any more, or the principal is disabled or gone
    UNKNOWN = auto()  # the last answer is too old to count


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    recheck: timedelta = timedelta(seconds=60)
    max_stale: timedelta = timedelta(minutes=5)


def verdict(found: Found, group: GroupId | None, now: datetime, max_stale: timedelta) -> Verdict:
    """What `found` means for a session under a policy for `group`; None: the policy is for an app role."""
    if found.state is not State.ENABLED or (group is not None and group not in found.groups):
        return Verdict.LOST
    return Verdict.MEMBER if now - found.at < max_stale else Verdict.UNKNOWN


@dataclass(slots=True)
class _Entry:
    found: Found
    due: datetime
    sessions: int = 0
    failures: int = 0
    asked: bool = False  # a question is under way


class Roll:
    """The identities with live sessions, and those that had one a moment ago, each with the latest answer.

    INVARIANT: of one identity there is never more than one question under way, and one in each interval.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._entries: dict[Principal, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def latest(self, principal: Principal) -> Found | None:
        entry = self._entries.get(principal)
        return None if entry is None else entry.found

    def recent(self, principal: Principal, now: datetime) -> Found | None:
        """The latest answer, if it is as young as those that live sessions rest on."""
        found = self.latest(principal)
        return found if found is not None and now - found.at < self.schedule.recheck else None

    def enter(self, principal: Principal, found: Found, due: datetime) -> None:
        """One more session. `due`: when to ask first, if nobody is watched under this identity yet."""
        entry = self._entries.get(principal)
        if entry is None:
            entry = self._entries[principal] = _Entry(found, due)
        elif not entry.sessions:
            entry.due = due
            entry.found = max(entry.found, found, key=lambda each: each.at)
        entry.sessions += 1

    def leave(self, principal: Principal) -> None:
        self._entries[principal].sessions -= 1

    def due(self, now: datetime) -> list[Principal]:
        """Whom to ask about now; they count as asked. Those without a session and a recent answer are forgotten."""
        asking: list[Principal] = []
        for principal, entry in list(self._entries.items()):
            if not entry.sessions:
                if not entry.asked and now - entry.found.at >= self.schedule.recheck:
                    del self._entries[principal]
            elif not entry.asked and now >= entry.due:
                entry.asked = True
                asking.append(principal)
        return asking

    def answered(self, principal: Principal, found: Found, now: datetime) -> None:
        entry = self._entries.get(principal)
        if entry is None:
            return
        entry.asked, entry.failures = False, 0
        if found.at >= entry.found.at:
            entry.found = found
        # From when it was due, not from now: else each round would come a little later than the interval.
        entry.due = max(entry.due + self.schedule.recheck, now + self.schedule.recheck / 2)

    def failed(self, principal: Principal, now: datetime, retry_after: timedelta | None) -> None:
        """No answer: ask again sooner than usual, ever slower, and not before the directory wants to be asked."""
        entry = self._entries.get(principal)
        if entry is None:
            return
        entry.asked = False
        entry.failures += 1
        pause = min(_RETRY_FIRST * 2 ** min(entry.failures - 1, 10), self.schedule.recheck)
        entry.due = now + max(pause, retry_after or timedelta())
