"""Leases: the part of a window's budget that one node may spend without asking the store. Pure.

Decides how large a lease is. Each node takes a few per cent at a time, so that no node keeps the budget from the
others. INVARIANT: all that was used and all that is leased are together within the budget.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits

__all__ = ["RESOURCES", "Lease", "budget_of", "next_share", "share_of"]

RESOURCES = tuple(each.name for each in fields(Usage))
_PART = 25  # a lease is 1/25 of the budget: four per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What this node may spend of a window, and what is not free for it."""

    granted: Usage  # to this node since it took its first lease of the window
    settled: Usage  # spent by nodes that gave their leases back, or that were killed
    others: Usage  # leased to other nodes now, spent or not

    def free(self, limits: Limits, resource: str) -> int:
        """What any node could lease of a resource that the policy limits."""
        taken: int = sum(getattr(each, resource) for each in (self.granted, self.settled, self.others))
        return (budget_of(limits, resource) or 0) - taken


def budget_of(limits: Limits, resource: str) -> int | None:
    """The budget of a window; None if the policy does not limit this resource."""
    budget: int | None = getattr(limits, f"window_{resource}")
    return budget


def share_of(budget: int) -> int:
    return max(1, budget // _PART)


def next_share(budget: int, free: int, unspent: int, need: int) -> int:
    """How much more a node gets: a share, or what it needs now if that is more; at most what is free."""
    wanted = max(share_of(budget), need) - max(0, unspent)
    return max(0, min(free, wanted))
