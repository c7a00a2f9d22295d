"""Who is still a member: what a directory's answers mean for sessions, and when it is asked again. Pure.

Decides from the latest answer about each identity. Knows no directory and no session: `now` and answers are given.
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

    CLAIM = "claim"  # the token alone: a change is seen with the next token
    GRAPH = "graph"  # the directory, at login and while sessions live
    CLAIM_THEN_GRAPH = "claim-then-graph"  # the token at login, the directory from then on


class MembershipStatus(Enum):
    MEMBER = auto()
    LOST = auto()  # not a member any more, or the principal is disabled or gone
    UNKNOWN = auto()  # the last answer is too old to count


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckSchedule:
    recheck: timedelta = timedelta(seconds=60)
    max_stale: timedelta = timedelta(minutes=5)
    token_age: timedelta = timedelta(hours=24)  # no token that is older is accepted


def membership_status(
    found: DirectoryAnswer, group: GroupId | None, now: datetime, max_stale: timedelta
) -> MembershipStatus:
    """What `found` means for a session under a policy for `group`; None: the policy is for an app role."""
    if found.state is not PrincipalState.ENABLED or (group is not None and group not in found.groups):
        return MembershipStatus.LOST
    return MembershipStatus.MEMBER if now - found.at < max_stale else MembershipStatus.UNKNOWN


class TokenTrust(Enum):
    """What a token's own word is worth, before the directory is asked."""

    TRUSTED = auto()  # nothing is known against it
    UNCONFIRMED = auto()  # older than everything that is known: the directory has to confirm it
    CONTRADICTED = auto()  # the directory answered otherwise, later than the token or a moment ago


class DirectoryAnswerCache:
    """What the directory has said last of each principal, for as long as a token from before that may live.

    INVARIANT: a token that was issued before the directory said no is not believed by itself again.
    """

    def __init__(self, schedule: RecheckSchedule, since: datetime, *, most: int = _MOST_ANSWERS) -> None:
        """Nothing is known from before `since`. Beyond `most` the oldest answer is forgotten, and remembered so."""
        self._schedule = schedule
        self._known_since = since
        self._most = most
        self._latest: OrderedDict[Principal, DirectoryAnswer] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._latest)

    def latest(self, principal: Principal) -> DirectoryAnswer | None:
        return self._latest.get(principal)

    def outlives(self, found: DirectoryAnswer) -> datetime:
        """Until when a token from before `found` may live."""
        return found.at + self._schedule.token_age + _SKEW

    def note(self, principal: Principal, found: DirectoryAnswer) -> None:
        former = self._latest.get(principal)
        if former is not None and former.at > found.at:
            return
        self._latest[principal] = found
        self._latest.move_to_end(principal)
        while self._latest:
            oldest = next(iter(self._latest.values()))
            outlived = found.at > self.outlives(oldest)  # no such token is left
            if not outlived and len(self._latest) <= self._most:
                break
            self._latest.popitem(last=False)
            if not outlived:
                self._known_since = max(self._known_since, oldest.at)

    def word(
        self, principal: Principal, issued_at: datetime, now: datetime, suffices: Callable[[DirectoryAnswer], bool]
    ) -> TokenTrust:
        """Of a token that was issued at `issued_at`. `suffices`: whether an answer says the same as the token."""
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
    asked: bool = False  # a question is under way


class MembershipRechecks:
    """The identities with live sessions, and those that were asked about a moment ago, with the latest answer.

    INVARIANT: of one identity there is never more than one question under way, and one in each interval.
    """

    def __init__(self, schedule: RecheckSchedule) -> None:
        self.schedule = schedule
        self._entries: dict[Principal, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def latest(self, principal: Principal) -> DirectoryAnswer | None:
        entry = self._entries.get(principal)
        return None if entry is None else entry.found

    def enter(self, principal: Principal, found: DirectoryAnswer, due: datetime) -> None:
        """One more session. `due`: when to ask first, if nobody is watched under this identity yet."""
        entry = self._entries.get(principal)
        if entry is None:
            entry = self._entries[principal] = _Entry(found, due)
        elif not entry.sessions:
            known = entry.found
            if found.claimed and not known.claimed and found.at - known.at < self.schedule.max_stale:
                # The directory has said so itself not long ago: a client that comes and goes makes no more questions.
                entry.due = max(due, known.at + self.schedule.recheck)
            else:
                if not known.claimed:
                    entry.due = due
                elif not entry.failures:
                    entry.due = min(due, entry.due)  # one who comes again does not put off what is due
                entry.found = max(known, found, key=lambda each: each.at)
        entry.sessions += 1

    def leave(self, principal: Principal) -> None:
        self._entries[principal].sessions -= 1

    def due(self, now: datetime) -> list[Principal]:
        """Whom to ask about now; they count as asked. Those without a session and a recent answer are forgotten.

        Of whom a token alone has spoken so far is asked about once, even if the session is over by then.
        """
        asking: list[Principal] = []
        for principal, entry in list(self._entries.items()):
            stale = now - entry.found.at >= self.schedule.max_stale
            if not entry.sessions and (stale or not entry.found.claimed):
                if stale and not entry.asked:
                    del self._entries[principal]
            elif not entry.asked and now >= entry.due:
                entry.asked = True
                asking.append(principal)
        return asking

    def answered(self, principal: Principal, found: DirectoryAnswer) -> None:
        """An answer, asked for by a recheck or a login. It is kept for the next login, session or not."""
        entry = self._entries.get(principal)
        if entry is None:
            self._entries[principal] = _Entry(found, found.at)
            return
        # From when it was due, not from now: else each round would come a little later than the interval.
        on_time = entry.asked and timedelta() <= found.at - entry.due < self.schedule.recheck / 2
        entry.due = (entry.due if on_time else found.at) + self.schedule.recheck
        entry.asked, entry.failures = False, 0
        if found.at >= entry.found.at:
            entry.found = found

    def failed(self, principal: Principal, now: datetime, retry_after: timedelta | None) -> None:
        """No answer: ask again sooner than usual, ever slower, and not before the directory wants to be asked."""
        entry = self._entries.get(principal)
        if entry is None:
            return
        entry.asked = False
        entry.failures += 1
        due = now + min(_RETRY_FIRST * 2 ** min(entry.failures - 1, 10), self.schedule.recheck)
        last = entry.found.at + self.schedule.max_stale - _LAST_TRY
        if now < last:
            due = min(due, last)  # once more before it is too late
        entry.due = max(due, now + (retry_after or timedelta()))
