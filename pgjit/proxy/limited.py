"""What a policy's limits mean for what is sent: what is over the budget, and what waits behind a result. Pure."""

from __future__ import annotations

from pgjit.policy.decision import Violation
from pgjit.proxy.budget import Budget
from pgjit.proxy.pending import ClientPlan, Pending, Planned
from pgjit.proxy.refusing import Refusing
from pgwire.messages import extended
from pgwire.state import Asked

__all__ = ["Limited"]


class Limited(Refusing):
    """The outbox, under limits."""

    budget: Budget

    def hold_behind(self, plan: ClientPlan, pending: Pending) -> None:
        """A result that may be cut ends in an error of ours: what is behind it must not have run by then."""
        if not self.budget.limits_results or not pending.runs or self.skipping or pending.may_copy_in:
            return
        self._alone = pending
        if pending.asked is Asked.EXECUTE:
            plan.items.append(Planned(extended.flush()))  # the Sync waits as well

    def over_budget(self, statements: int) -> tuple[Violation, ...]:
        """The window's budget, asked last: what may run is counted."""
        if self.skipping or not statements:
            return ()
        violation = self.budget.refuses(statements)
        return () if violation is None else (violation,)
