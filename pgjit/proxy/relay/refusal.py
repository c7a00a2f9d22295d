"""Refuses a message in its place: sends one that the server must reject, and records why. Pure.

Does not decide what is refused; `client_side.py` does. `rejection.py` makes the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.exchange import DROPPED_BY_QUERY
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.named_values import ExecutedStatement, readable
from pgjit.proxy.relay.protocol_rules import message_too_large, numbered, unknown_name
from pgjit.proxy.relay.recorder import Protocol
from pgjit.proxy.relay.rejection import rejected_parse, rejected_query
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.transitions import InputEvent, InputState
from pgwire.framing import Frame
from pgwire.state import RequestKind

__all__ = ["Refuser"]


class Refuser:
    """Refuses the messages of one session."""

    def __init__(self, state: RelayState) -> None:
        self._state = state

    def _count(self, statements: int = 1) -> None:
        if self._state.input is InputState.FORWARDED:
            self._state.budget.refused(statements)

    def refuse_query(
        self,
        plan: ClientPlan,
        judgement: Judgement,
        violations: tuple[Violation, ...],
        now: int,
        request: InFlight,
        executed: Sequence[ExecutedStatement],
    ) -> None:
        state, statements = self._state, len(judgement.statements)
        self._count(statements)
        rejection = state.new_rejection(numbered(violations[0], statements).error())
        request.refuse(rejection)
        request.runs = state.recorder.refused(plan.events, now, "simple", judgement, violations, executed)
        state.send(plan, rejected_query(rejection), request, executes=True)

    def refuse_parse(
        self, plan: ClientPlan, judgement: Judgement, violations: tuple[Violation, ...], now: int, name: bytes
    ) -> None:
        state, statements = self._state, len(judgement.statements)
        self._count(statements)
        rejection = state.new_rejection(numbered(violations[0], statements).error())
        request = state.request(RequestKind.PARSE)
        request.refuse(rejection)
        request.runs = state.recorder.refused(plan.events, now, "extended", judgement, violations)
        state.send(plan, rejected_parse(rejection, name), request, executes=True)
        state.move_input(InputEvent.REFUSED)

    def refuse_name(self, plan: ClientPlan, what: str, name: bytes, sqlstate: str, now: int) -> None:
        """INVARIANT: what was not judged under a name here is not run under it."""
        shown = readable(name)
        self.refuse_in_place(plan, f"-- {what} {shown!r}", unknown_name(what, shown, sqlstate, None), now)

    def refuse_in_place(
        self,
        plan: ClientPlan,
        text: str,
        violation: Violation,
        now: int,
        *,
        query: bool = False,
        name: bytes | None = None,
    ) -> None:
        state = self._state
        self._count()
        changes = DROPPED_BY_QUERY if query else ()
        rejection = state.new_rejection(violation.error())
        request = state.request(RequestKind.QUERY if query else RequestKind.PARSE, changes)
        request.refuse(rejection)
        state.expect(changes, request)
        protocol: Protocol = "simple" if query else "extended"
        judgement = Judgement(text, (), (violation,))
        request.runs = state.recorder.refused(plan.events, now, protocol, judgement, (violation,))
        data = rejected_query(rejection) if query else rejected_parse(rejection, name)
        state.send(plan, data, request, executes=True)
        if not query:
            state.move_input(InputEvent.REFUSED)

    def refuse_too_large(self, plan: ClientPlan, frame: Frame, now: int) -> None:
        """Under every policy: only the beginning of the message was read."""
        name, end, text = frame.body.partition(b"\0") if frame.kind == 0x50 else (None, b"", frame.body)
        self.refuse_in_place(
            plan,
            f"-- the beginning of a message of type {chr(frame.kind)!r}: {text.decode('utf-8', 'replace')}",
            message_too_large(len(frame.raw) + frame.missing),
            now,
            query=frame.kind in b"QF",
            name=name if end else None,
        )
