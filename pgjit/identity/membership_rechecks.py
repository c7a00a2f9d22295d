"""When a group membership is looked up again, and what the latest answer of the directory means for sessions. Pure.

Decides from the latest answer about each principal. The caller queries the directory and keeps the sessions; it
passes `now` and the answers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from pgjit.identity.directory import DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId

__all__ = [
    "DirectoryAnswerCache",
    "GroupSource",
    "MembershipRechecks",
    "MembershipStatus",
    "RecheckSchedule",
    "TokenTrust",
    "membership_status",
]

_RETRY_FIRST = timedelta(seconds=2)
_LAST_TRY = timedelta(seconds=5)
_SKEW = timedelta(seconds=60)  # a token may be dated this much later than it was issued
_MOST_ANSWERS = 100_000


class GroupSource(StrEnum):
    """Where the groups of an identity come from."""

    CLAIM = "claim"  # the token only: a change takes effect with the next token
    GRAPH = "graph"  # the directory, at login and while sessions are open
    CLAIM_THEN_GRAPH = "claim-then-graph"  # the token at login, the directory afterwards


class MembershipStatus(Enum):
    MEMBER = auto()
    LOST = auto()  # no longer a member, or the principal is disabled or deleted
    UNKNOWN = auto()  # the last answer is too old


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckSchedule:
    recheck: timedelta = timedelta(seconds=60)
    max_stale: timedelta = timedelta(minutes=5)
    token_age: timedelta = timedelta(hours=24)  # older tokens are not accepted


def membership_status(
    found: DirectoryAnswer, group: GroupId | None, now: datetime, max_stale: timedelta
) -> MembershipStatus:
    """The status of a session under a policy for `group`. None: the policy is for an app role."""
    if found.state is not PrincipalState.ENABLED or (group is not None and group not in found.groups):
        return MembershipStatus.LOST
    return MembershipStatus.MEMBER if now - found.at < max_stale else MembershipStatus.UNKNOWN


class TokenTrust(Enum):
    """Whether a token's claims may be trusted without a query to the directory."""

    TRUSTED = auto()  # nothing is known against it
    UNCONFIRMED = auto()  # older than everything that is known: the directory has to confirm it
    CONTRADICTED = auto()  # the directory answered otherwise, later than the token or a moment ago


class DirectoryAnswerCache:
    """The latest answer about each principal, kept until every token issued before it has expired.

    INVARIANT: a token that was issued before the directory denied a membership is never trusted by itself again.
    """

    def __init__(self, schedule: RecheckSchedule, since: datetime, *, most: int = _MOST_ANSWERS) -> None:
        """Nothing is known from before `since`. Beyond `most` answers the oldest is dropped, and `since` moves on."""
        self._schedule = schedule
        self._known_since = since
        self._most = most
        self._latest: OrderedDict[Principal, DirectoryAnswer] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._latest)

    def latest(self, principal: Principal) -> DirectoryAnswer | None:
        return self._latest.get(principal)

    def last_expiry_before(self, found: DirectoryAnswer) -> datetime:
        """When the last token that was issued before `found` expires."""
        return found.at + self._schedule.token_age + _SKEW

    def record(self, principal: Principal, found: DirectoryAnswer) -> None:
        former = self._latest.get(principal)
        if former is not None and former.at > found.at:
            return
        self._latest[principal] = found
        self._latest.move_to_end(principal)
        while self._latest:
            oldest = next(iter(self._latest.values()))
            outlived = found.at > self.last_expiry_before(oldest)  # every token from before it has expired
            if not outlived and len(self._latest) <= self._most:
                break
            self._latest.popitem(last=False)
            if not outlived:
                self._known_since = max(self._known_since, oldest.at)

    def trust_in_token(
        self, principal: Principal, issued_at: datetime, now: datetime, suffices: Callable[[DirectoryAnswer], bool]
    ) -> TokenTrust:
        """For a token that was issued at `issued_at`. `suffices`: whether an answer agrees with the token."""
        found = self._latest.get(principal)
        if found is None:
            return TokenTrust.UNCONFIRMED if issued_at <= self._known_since + _SKEW else TokenTrust.TRUSTED
        if suffices(found):
            return TokenTrust.TRUSTED
        if issued_at <= found.at + _SKEW or now - found.at < self._schedule.max_stale:
            return TokenTrust.CONTRADICTED
        return TokenTrust.TRUSTED


@dataclass(slots=True)
class _Entry:
    found: DirectoryAnswer
    due: datetime
    sessions: int = 0
    failures: int = 0
    in_progress: bool = False  # a query is running


class MembershipRechecks:
    """The principals with open sessions, and those looked up a moment ago: the latest answer, and the next recheck.

    INVARIANT: for one principal at most one query runs at a time, and at most one starts in each interval.
    """

    def __init__(self, schedule: RecheckSchedule) -> None:
        self.schedule = schedule
        self._entries: dict[Principal, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def latest(self, principal: Principal) -> DirectoryAnswer | None:
        entry = self._entries.get(principal)
        return None if entry is None else entry.found

    def open_session(self, principal: Principal, found: DirectoryAnswer, due: datetime) -> None:
        """Count one more session. `due`: the first recheck, if this is the principal's first session."""
        entry = self._entries.get(principal)
        if entry is None:
            entry = self._entries[principal] = _Entry(found, due)
        elif not entry.sessions:
            known = entry.found
            if found.claimed and not known.claimed and found.at - known.at < self.schedule.max_stale:
                # The directory confirmed it not long ago: a client that reconnects often causes no more queries.
                entry.due = max(due, known.at + self.schedule.recheck)
            else:
                if not known.claimed:
                    entry.due = due
                elif not entry.failures:
                    entry.due = min(due, entry.due)  # reconnecting does not postpone a recheck
                entry.found = max(known, found, key=lambda each: each.at)
        entry.sessions += 1

    def close_session(self, principal: Principal) -> None:
        self._entries[principal].sessions -= 1

    def due(self, now: datetime) -> list[Principal]:
        """The principals to look up now, marked as being looked up. Drops those without session or recent answer.

        A principal known only by its token is looked up once, even if its session has ended.
        """
        due: list[Principal] = []
        for principal, entry in list(self._entries.items()):
            stale = now - entry.found.at >= self.schedule.max_stale
            if not entry.sessions and (stale or not entry.found.claimed):
                if stale and not entry.in_progress:
                    del self._entries[principal]
            elif not entry.in_progress and now >= entry.due:
                entry.in_progress = True
                due.append(principal)
        return due

    def record_answer(self, principal: Principal, found: DirectoryAnswer) -> None:
        """Keep the answer to a recheck or a login, also without a session: the next login may use it."""
        entry = self._entries.get(principal)
        if entry is None:
            self._entries[principal] = _Entry(found, found.at)
            return
        # Counted from the due time, not from now: otherwise each interval would be a little longer.
        on_time = entry.in_progress and timedelta() <= found.at - entry.due < self.schedule.recheck / 2
        entry.due = (entry.due if on_time else found.at) + self.schedule.recheck
        entry.in_progress, entry.failures = False, 0
        if found.at >= entry.found.at:
            entry.found = found

    def record_failure(self, principal: Principal, now: datetime, retry_after: timedelta | None) -> None:
        """No answer: retry with growing pauses, and not before the time that the directory asked for."""
        entry = self._entries.get(principal)
        if entry is None:
            return
        entry.in_progress = False
        entry.failures += 1
        due = now + min(_RETRY_FIRST * 2 ** min(entry.failures - 1, 10), self.schedule.recheck)
        last = entry.found.at + self.schedule.max_stale - _LAST_TRY
        if now < last:
            due = min(due, last)  # one more try before the answer is too old
        entry.due = max(due, now + (retry_after or timedelta()))
