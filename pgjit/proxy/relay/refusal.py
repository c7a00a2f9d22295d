"""What is refused in its place: by a message that the server must reject, under a record that says why. Pure.

Decides nothing about what is refused; `client_side.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight
from pgjit.proxy.relay.prepared_statements import Change, ExecutedStatement
from pgjit.proxy.relay.protocol_rules import message_too_large, numbered, unknown_name
from pgjit.proxy.relay.recorder import Protocol
from pgjit.proxy.relay.rejection import poison_parse, poison_query
from pgjit.proxy.relay.send_queue import SendQueue
from pgwire.framing import Frame
from pgwire.state import RequestKind

__all__ = ["DROPPED_BY_QUERY", "Refusing"]

DROPPED_BY_QUERY = (Change("statement", b""), Change("portal", b""))


class Refusing(SendQueue):
    """The outbox, for who refuses what would go into it."""

    budget: Budget

    def count_refused(self, statements: int = 1) -> None:
        if not self.skipping:
            self.budget.refused(statements)

    def refuse_query(
        self,
        plan: ClientPlan,
        judgement: Judgement,
        violations: tuple[Violation, ...],
        now: datetime,
        pending: InFlight,
        running: Sequence[ExecutedStatement],
    ) -> None:
        self.count_refused(len(judgement.statements))
        pending.refusal = self.refusal(numbered(violations[0], len(judgement.statements)).error())
        pending.unread = False
        pending.runs = self.recorder.refused(plan.events, now, "simple", judgement, violations, running)
        self.send(plan, poison_query(pending.refusal), pending, executes=True)

    def refuse_name(self, plan: ClientPlan, what: str, name: bytes, sqlstate: str, now: datetime) -> None:
        """INVARIANT: what was not judged under a name here is not run under it."""
        readable = name.decode("utf-8", "replace")
        self.refuse_in_place(plan, f"-- {what} {readable!r}", unknown_name(what, readable, sqlstate, None), now)

    def refuse_in_place(
        self,
        plan: ClientPlan,
        text: str,
        violation: Violation,
        now: datetime,
        *,
        query: bool = False,
        name: bytes | None = None,
    ) -> None:
        self.count_refused()
        changes = DROPPED_BY_QUERY if query else ()
        pending = self.pending(
            RequestKind.QUERY if query else RequestKind.PARSE,
            changes=changes,
            refusal=self.refusal(violation.error()),
        )
        self.expect(changes, pending)
        assert pending.refusal is not None
        protocol: Protocol = "simple" if query else "extended"
        judgement = Judgement(text, (), (violation,))
        pending.runs = self.recorder.refused(plan.events, now, protocol, judgement, (violation,))
        data = poison_query(pending.refusal) if query else poison_parse(pending.refusal, name)
        self.send(plan, data, pending, executes=True)
        self.skipping = self.skipping or not query

    def refuse_too_large(self, plan: ClientPlan, frame: Frame, now: datetime) -> None:
        """Under every policy: only the beginning of the message is there."""
        name, found, text = frame.body.partition(b"\0") if frame.kind == 0x50 else (None, b"", frame.body)
        self.refuse_in_place(
            plan,
            f"-- the beginning of a message of type {chr(frame.kind)!r}: {text.decode('utf-8', 'replace')}",
            message_too_large(len(frame.raw) + frame.missing),
            now,
            query=frame.kind in b"QF",
            name=name if found else None,
        )
