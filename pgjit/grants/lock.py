"""A lock: while it is in force, no window opens in its scope, and the open ones end. Pure: `now` is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey

__all__ = ["Lock", "matching_lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    id: str
    scope: Scope  # never one window: that is revoked
    reason: str
    set_by: Actor
    set_at: datetime
    until: datetime | None = None  # None: until it is lifted
    lifted_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.scope.kind is ScopeKind.WINDOW:
            raise ValueError("a window is revoked, not locked")

    def in_force(self, now: datetime) -> bool:
        """By the wall clock: setting it back makes a lock last longer, or brings it back; it ends none."""
        return self.lifted_at is None and (self.until is None or now < self.until)

    def matches(
        self, identity: IdentityKey, policy: str, connection: str, programs: frozenset[IdentityKey] = frozenset()
    ) -> bool:
        return self.scope.covers(identity, policy, connection, programs)


def matching_lock(
    locks: Iterable[Lock],
    identity: IdentityKey,
    policy: str,
    connection: str,
    now: datetime,
    programs: frozenset[IdentityKey] = frozenset(),
) -> Lock | None:
    """A lock that bars this access now; of several, the one that lasts longest."""
    found = [lock for lock in locks if lock.in_force(now) and lock.matches(identity, policy, connection, programs)]
    return max(found, key=lambda lock: (lock.until is None, lock.until or now), default=None)
