"""What limits mean for what is sent: what is over a budget or a bound, and what waits behind a result. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pgjit.policy.decision import Violation
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.executed_statement import makes_names, too_long_together
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight, Planned
from pgjit.proxy.relay.prepared_statements import ExecutedStatement
from pgjit.proxy.relay.protocol_rules import ONE_WRITE, TOO_MANY_NAMES, uncertain_name
from pgjit.proxy.relay.reading_settings import sets_reading
from pgjit.proxy.relay.refusal import Refusing
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["Limited"]


class Limited(Refusing):
    """The outbox, under limits."""

    budget: Budget
    unrestricted = False
    plainly = True  # the server reads texts as they are read here

    def hold_behind(self, plan: ClientPlan, pending: InFlight) -> None:
        """A result that may be cut ends in an error of ours: what is behind it must not have run by then."""
        if not self.budget.limits_results or not pending.runs or self.skipping or pending.may_copy_in:
            return
        self._alone = pending
        if pending.asked is RequestKind.EXECUTE:
            plan.items.append(Planned(extended.flush()))  # the Sync waits as well

    def over_budget(self, statements: int) -> tuple[Violation, ...]:
        """The window's budget, asked last: what may run is counted."""
        if self.skipping or not statements:
            return ()
        violation = self.budget.refuses(statements)
        return () if violation is None else (violation,)

    def over_limits(self, running: ExecutedStatement) -> tuple[Violation, ...]:
        if self.names.full and makes_names(running):
            return (TOO_MANY_NAMES,)
        return self.over_budget(1)

    def too_much(self, running: Sequence[ExecutedStatement]) -> tuple[Violation, ...]:
        """Of the statements of a message, together."""
        if self.names.full and any(map(makes_names, running)):
            return (TOO_MANY_NAMES,)
        if (long := too_long_together(running)) is not None:
            return (long,)
        if self.budget.limits_results and len(running) > 1 and any(each.writes for each in running):
            return (ONE_WRITE,)
        return ()

    def no_portal(self, name: bytes, *, certain: bool) -> Violation | None:
        """Why a Bind may make none of that name."""
        if name and self.names.full:
            return TOO_MANY_NAMES
        if certain or self.unrestricted:
            return None
        return uncertain_name(name.decode("utf-8", "replace"), self.names.encoding)

    def mind(self, running: ExecutedStatement) -> None:
        """Under `access: full`: behind it the server may read texts and names otherwise."""
        if self.unrestricted and running.statement is not None and sets_reading(running.statement):
            self.reads_otherwise()

    def reads_otherwise(self) -> None:
        self.plainly = False
        self.names.encoding = ""  # of a name that is not ASCII nobody knows any more which one it is
