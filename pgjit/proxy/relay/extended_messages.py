"""Parse, Bind, Describe, Execute and Close: the messages of the extended protocol that name something. Pure.

Decides for each whether it is sent, refused in its place, or has to wait for an answer.
"""

from __future__ import annotations

from pgjit.audit.parameters import bound
from pgjit.clock import moment_of
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.executed_statement import Resolver, Unresolvable, Unsettled, describes_endless
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.limits import hold_behind, refuses_execution, refuses_portal
from pgjit.proxy.relay.named_values import DOUBT, Change, ExecutedStatement, Portal, Prepared, readable, unknown
from pgjit.proxy.relay.protocol_rules import TOO_MANY_NAMES, parse_violations, uncertain_name
from pgjit.proxy.relay.reading_settings import note_reading
from pgjit.proxy.relay.refusal import Refuser
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.show_pgjit import SessionFacts, in_place_of_show
from pgjit.proxy.relay.text_judging import ClientBatch, TextJudging
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["ExtendedMessages", "send_execution"]

_PARSE, _BIND, _EXECUTE = RequestKind.PARSE, RequestKind.BIND, RequestKind.EXECUTE


def send_execution(state: RelayState, plan: ClientPlan, data: bytes, request: InFlight) -> None:
    """Send what runs something. What follows it may have to wait."""
    state.send(plan, data, request, executes=bool(request.runs))
    state.copy_in.offer(plan, request)
    hold_behind(state, plan, request)


class ExtendedMessages:
    def __init__(self, state: RelayState, texts: TextJudging, refuser: Refuser, facts: SessionFacts) -> None:
        self._state = state
        self._texts = texts
        self._refuser = refuser
        self._facts = facts

    def parse(self, batch: ClientBatch, frame: Frame) -> None:
        state, names = self._state, self._state.prepared_statements
        parse = extended.decode_parse(frame.body)
        judgement = self._texts.judged(batch, parse.text)
        violations = judgement.violations
        certain = names.is_certain(parse.name)
        if not state.unrestricted:
            violations = violations or parse_violations(judgement, parse)
            if not certain:
                violations = violations or (uncertain_name(readable(parse.name), names.encoding),)
        if parse.name and names.full:
            violations = violations or (TOO_MANY_NAMES,)
        raw = frame.raw
        if not violations and judgement.pgjit_setting is not None:
            raw, violations = in_place_of_show(
                self._facts, judgement.pgjit_setting, moment_of(batch.now),
                lambda sql: extended.encode_parse(extended.Parse(parse.name, sql, ())),
            )  # fmt: skip
        if violations:
            self._refuser.refuse_parse(batch.plan, judgement, violations, batch.now, parse.name)
            return
        prepared = Prepared.of(judgement, parse.types)
        changes = (Change("statement", parse.name, prepared), *(() if certain else DOUBT))
        self._send_change(batch, raw, state.request(_PARSE, changes))

    def _send_change(self, batch: ClientBatch, data: bytes, request: InFlight) -> None:
        self._state.expect(request.changes, request)
        self._state.send(batch.plan, data, request)

    def bind(self, batch: ClientBatch, frame: Frame) -> None:
        state, names = self._state, self._state.prepared_statements
        plan, now = batch.plan, batch.now
        bind = extended.decode_bind(frame.body)
        if state.unsettled("statement", bind.name):
            return
        prepared = names.statement(bind.name)
        if prepared is None and state.unrestricted:
            prepared = unknown("prepared statement", bind.name)
        if prepared is None:
            self._refuser.refuse_name(plan, "prepared statement", bind.name, "26000", now)
            return
        certain = names.is_certain(bind.portal)
        if refused := refuses_portal(state, bind.portal, certain=certain):
            self._refuser.refuse_in_place(plan, f"-- portal {readable(bind.portal)!r}", refused, now)
            return
        if isinstance(found := self._texts.as_judged_now(batch)(prepared), Violation):
            self._refuser.refuse_in_place(plan, prepared.text, found, now)
            return
        parameters = bound(bind.values, bind.formats, prepared.types.known)
        portal = Portal(prepared, parameters, bind.name, formats=bind.results)
        changes = (Change("portal", bind.portal, portal), *(() if certain else DOUBT))
        self._send_change(batch, frame.raw, state.request(_BIND, changes))

    def close(self, batch: ClientBatch, frame: Frame) -> None:
        target = extended.decode_target(frame.body)
        changes = (Change("statement" if target.kind == "S" else "portal", target.name),)
        self._send_change(batch, frame.raw, self._state.request(RequestKind.CLOSE, changes))

    def describe(self, batch: ClientBatch, frame: Frame) -> None:
        state = self._state
        target = extended.decode_target(frame.body)
        try:
            endless = describes_endless(target, state.prepared_statements, state.unsettled)
        except Unsettled:
            return
        if endless is not None:
            text = f"-- description of {readable(target.name)!r}"
            self._refuser.refuse_in_place(batch.plan, text, endless, batch.now)
            return
        kind = RequestKind.DESCRIBE_STATEMENT if target.kind == "S" else RequestKind.DESCRIBE_PORTAL
        request = state.request(kind)
        request.describes = state.prepared_statements.described(target)
        state.send(batch.plan, frame.raw, request)

    def execute(self, batch: ClientBatch, frame: Frame) -> None:
        state, plan, now = self._state, batch.plan, batch.now
        name = extended.decode_execute(frame.body).portal
        if state.unsettled("portal", name):
            return
        portal = state.prepared_statements.portal(name)
        # The unnamed portal is a Bind's, or there is none. What a failed Query leaves behind under that name in an
        # aborted transaction is freed memory: executing it ends all sessions of the server (seen with PostgreSQL 15).
        if portal is None and state.unrestricted and name:
            portal = Portal(unknown("portal", name), None, b"")
        if portal is None:
            self._refuser.refuse_name(plan, "portal", name, "34000", now)
            return
        try:
            executed = self._resolve_portal(batch, name, portal)
        except Unsettled:
            return
        except Unresolvable as refused:
            self._refuser.refuse_in_place(plan, portal.prepared.text, refused.violation, now)
            return
        if not portal.prepared.own and (violations := refuses_execution(state, executed)):
            self._refuser.refuse_in_place(plan, executed.text, violations[0], now)
            return
        note_reading(state, executed)
        state.notices.note(executed)
        run = state.recorder.execution(plan.events, now, "extended", executed)
        run.prepared, run.changes, run.copies_in = portal.prepared, executed.changes, executed.copies_in
        run.own, run.formats = portal.prepared.own, portal.formats
        request = state.request(_EXECUTE)
        request.runs.append(run)
        state.expect(run.changes, request)
        send_execution(state, plan, frame.raw, request)

    def _resolve_portal(self, batch: ClientBatch, name: bytes, portal: Portal) -> ExecutedStatement:
        """Raises Unsettled and Unresolvable."""
        state, again = self._state, self._texts.as_judged_now(batch)
        if isinstance(prepared := again(portal.prepared), Violation):
            raise Unresolvable(prepared)
        resolver = Resolver(
            state.prepared_statements, state.prepared_statements.encoding, unrestricted=state.unrestricted,
            settled=lambda space, key: not state.unsettled(space, key), again=again,
            opened=self._texts.opened_by_rules_of_now(batch),
        )  # fmt: skip
        return resolver.portal(name, portal.under(prepared), readable(portal.statement_name) or None)
