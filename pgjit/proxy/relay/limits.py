"""Checks a message against the limits before it is sent, and lets messages wait behind a result. Pure.

Counting is `budget.py`'s. Cutting a result at its limit is `server_side.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgjit.policy.decision import Violation
from pgjit.proxy.relay.client_plan import ClientPlan, Planned
from pgjit.proxy.relay.executed_statement import makes_names, too_long_together
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.named_values import ExecutedStatement, readable
from pgjit.proxy.relay.protocol_rules import ONE_WRITE, TOO_MANY_NAMES, uncertain_name
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.transitions import InputState
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["hold_behind", "over_budget", "refuses_execution", "refuses_portal", "refuses_together"]
_SKIPPED = InputState.SKIPPED


def hold_behind(state: RelayState, plan: ClientPlan, request: InFlight) -> None:
    """A result that may be cut may end in an error of ours: the next message must not have run by then."""
    if not state.budget.limits_results or not request.runs or state.input is _SKIPPED or request.may_copy_in:
        return
    state.send_alone(request)
    if request.kind is RequestKind.EXECUTE:
        plan.items.append(Planned(extended.flush()))  # the Sync waits as well


def over_budget(state: RelayState, statements: int) -> tuple[Violation, ...]:
    """The window's budget. It comes last of all checks, for what may run is counted."""
    if state.input is _SKIPPED or not statements:
        return ()
    violation = state.budget.refuses(statements)
    return () if violation is None else (violation,)


def refuses_execution(state: RelayState, executed: ExecutedStatement) -> tuple[Violation, ...]:
    """Why an Execute may not run."""
    if state.prepared_statements.full and makes_names(executed):
        return (TOO_MANY_NAMES,)
    return over_budget(state, 1)


def refuses_together(state: RelayState, executed: Sequence[ExecutedStatement]) -> tuple[Violation, ...]:
    """Why the statements of a Query may not run together."""
    if state.prepared_statements.full and any(map(makes_names, executed)):
        return (TOO_MANY_NAMES,)
    if (long := too_long_together(executed)) is not None:
        return (long,)
    if state.budget.limits_results and len(executed) > 1 and any(each.writes for each in executed):
        return (ONE_WRITE,)
    return ()


def refuses_portal(state: RelayState, name: bytes, *, certain: bool) -> Violation | None:
    """Why a Bind may make no portal of that name."""
    if name and state.prepared_statements.full:
        return TOO_MANY_NAMES
    if certain or state.unrestricted:
        return None
    return uncertain_name(readable(name), state.prepared_statements.encoding)
