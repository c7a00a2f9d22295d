"""The client's half of the relay, pure: the client's messages in, bytes for the server and records out.

Decides for each message whether it is forwarded, refused in its place, or has to wait. Knows no socket, no journal,
and no clock but of its own work: the pump writes the records of a plan before it sends the plan's bytes, and calls
`withdraw` of the state when the journal cannot take them. What the server answers is `server_side.py`'s.

INVARIANT: no frame that came from a client is forwarded unless a branch below names its type and judged it.
Under `access: full` (`unrestricted`) no rule refuses a statement: it is recorded all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import kept
from pgjit.errors import ProtocolFault
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.executed_statement import Resolver, Unresolvable, Unsettled, describes_endless, resolve_message
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight, Planned
from pgjit.proxy.relay.limits import hold_behind, over_budget, refuses_execution, refuses_portal, refuses_together
from pgjit.proxy.relay.named_values import DOUBT, Change, ExecutedStatement, Portal, Prepared, readable, unknown
from pgjit.proxy.relay.protocol_rules import (
    FUNCTION_CALL,
    TOO_LONG_TOGETHER,
    TOO_MANY_NAMES,
    parse_violations,
    uncertain_name,
)
from pgjit.proxy.relay.reading_settings import note_reading
from pgjit.proxy.relay.refusal import DROPPED_BY_QUERY, Refuser
from pgjit.proxy.relay.rejudging import JudgedAgain, Look
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.show_pgjit import SessionFacts, in_place_of_show
from pgjit.proxy.relay.transitions import InputEvent, InputState
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.messages.function_call import decode_function_call
from pgwire.messages.query import decode_query, encode_query
from pgwire.reader import BodyReader
from pgwire.state import FRONTEND, Phase, RequestKind

__all__ = ["ClientPlan", "ClientSide"]

# Members of an enum, looked up once: each look is a call of Python before 3.12.
_QUERY, _PARSE, _BIND = RequestKind.QUERY, RequestKind.PARSE, RequestKind.BIND
_EXECUTE, _SYNC = RequestKind.EXECUTE, RequestKind.SYNC
_SKIPPED, _INPUT_SYNC = InputState.SKIPPED, InputEvent.SYNC
_LEGAL = FRONTEND[Phase.READY]
_PASSED_OVER = frozenset(b"BDCEH")
_JUDGED = frozenset(b"QP")
_SECONDS_AT_ONCE = 0.005
"""After so much time on judging messages, the other sessions get their turn."""


class _NotJudged(Exception):
    """A statement takes too long to judge here: the judge's worker has to do it first."""


class _UnknownName(Exception):
    """A statement uses a name that is not in the catalog, and the catalog was not read again yet."""


@dataclass(slots=True)
class _Batch:
    """One call of `from_client`."""

    plan: ClientPlan
    now: datetime
    judged: Mapping[bytes, Judgement]  # by the judge's worker
    settled: bool  # the next message is judged for good, with the catalog as it is


class ClientSide:
    """Judges what the client sends. Each request that it sends is in flight until `server_side.py` saw its answer."""

    def __init__(
        self,
        state: RelayState,
        judge: Callable[[bytes], Judgement | None],
        facts: SessionFacts,
        *,
        looks_again: bool = False,
        spent: Callable[[], float] = lambda: 0.0,
        latest: Callable[[], int] = lambda: 0,
    ) -> None:
        """`judge` returns None for what takes too long: `from_client` stops, and is called again with the answer.

        `looks_again`: `from_client` stops before it refuses a statement for a name that the catalog does not have.
        It has to be called again, with `settled`, when the catalog was read again.
        `spent`: seconds of work of this thread. `latest`: the number of the judge that has the latest catalog.
        """
        self._state = state
        self._judge = judge
        self._facts = facts
        self._looks_again = looks_again
        self._spent = spent
        self._again = JudgedAgain(latest)
        self._refuser = Refuser(state)

    def close(self) -> None:
        """Nothing is judged any more, and the judge need not be held."""
        self._judge = lambda _: None

    def from_client(
        self,
        frames: Sequence[Frame],
        now: datetime,
        judged: Mapping[bytes, Judgement] | None = None,
        *,
        settled: bool = False,
    ) -> ClientPlan:
        """Judge `frames` in order. `judged` holds answers that were found outside the event loop.

        `settled`: the first of them is judged for good, with the catalog as it is now.
        """
        state, plan = self._state, ClientPlan()
        batch = _Batch(plan, now, judged or {}, settled)
        enough = self._spent() + _SECONDS_AT_ONCE
        for index, frame in enumerate(frames):
            if state.holds:
                plan.rest = frames[index:]
                return plan
            try:
                self._frame(batch, frame)
            except _NotJudged as unjudged:
                plan.rest, plan.unjudged = frames[index:], unjudged.args[0]
                return plan
            except _UnknownName:
                plan.rest, plan.unknown = frames[index:], True
                return plan
            except RemoteProtocolError as fault:
                plan.fault = ProtocolFault(f"malformed message: {fault}")
            batch.settled = False
            if state.waits and not state.holds:
                plan.rest = frames[index:]
                return plan
            if plan.fault is not None or plan.goodbye:
                return plan
            if plan.heavy or (frame.kind in _JUDGED and self._spent() > enough):
                plan.rest = frames[index + 1 :]
                return plan
        return plan

    def _frame(self, batch: _Batch, frame: Frame) -> None:
        state, plan = self._state, batch.plan
        if state.copy_in.takes(plan, frame):
            return
        if frame.kind not in _LEGAL:
            plan.fault = ProtocolFault(f"invalid frontend message type {frame.kind}")
            return
        if state.input is _SKIPPED and frame.kind in _PASSED_OVER:
            return  # the server would pass over it up to the next Sync: nothing happens, nothing is sent
        if frame.missing:
            self._refuser.refuse_too_large(plan, frame, batch.now)
            return
        match chr(frame.kind):
            case "Q":
                self._query(batch, frame)
            case "P":
                self._parse(batch, frame)
            case "B":
                self._bind(batch, frame)
            case "E":
                self._execute(batch, frame)
            case "D":
                self._describe(batch, frame)
            case "C":
                self._close(batch, frame)
            case "S":
                BodyReader(frame.body).end()
                state.move_input(_INPUT_SYNC)
                state.send(plan, frame.raw, state.request(_SYNC))
            case "H":
                BodyReader(frame.body).end()
                plan.items.append(Planned(frame.raw))
            case "F":
                self._function_call(batch, frame)
            case "X":
                plan.goodbye = True
            case kind:
                raise AssertionError(f"message of type {kind} is in the table and has no branch")

    # --- the simple protocol ---------------------------------------------------------------------------

    def _query(self, batch: _Batch, frame: Frame) -> None:
        state, plan, now = self._state, batch.plan, batch.now
        sql = decode_query(frame.body)
        judgement = self._judged(batch, sql)
        violations, executed = judgement.violations, list[ExecutedStatement]()
        if not violations:
            try:
                executed, violations = self._executed(batch, judgement)
            except Unsettled:
                return
        request = state.request(_QUERY, DROPPED_BY_QUERY, unread=judgement.unread)
        # A Query drops the unnamed statement and portal before its text is even looked at.
        state.expect(request.changes, request)
        raw = frame.raw
        if not violations and judgement.pgjit_setting is not None:
            raw, violations = in_place_of_show(self._facts, judgement.pgjit_setting, now, encode_query)
        violations = violations or over_budget(state, len(judgement.statements) or int(judgement.unread))
        if violations:
            self._refuser.refuse_query(plan, judgement, violations, now, request, executed)
            return
        if judgement.pgjit_setting is not None or judgement.unread:
            kind = None if judgement.unread else "show"
            executed = [ExecutedStatement(judgement.text, kind, None, changes=DOUBT if judgement.unread else ())]
        for each in executed:
            note_reading(state, each)
            state.notices.note(each)
            state.expect(each.changes, request)
            run = state.recorder.execution(plan.events, now, "simple", each)
            run.changes, run.copies_in, run.own = each.changes, each.copies_in, judgement.pgjit_setting is not None
            request.runs.append(run)
        self._send_execution(batch, raw, request)

    def _send_execution(self, batch: _Batch, data: bytes, request: InFlight) -> None:
        state, plan = self._state, batch.plan
        state.send(plan, data, request, executes=bool(request.runs))
        state.copy_in.offer(plan, request)
        hold_behind(state, plan, request)

    def _executed(self, batch: _Batch, judgement: Judgement) -> tuple[list[ExecutedStatement], tuple[Violation, ...]]:
        """The executions that the statements of a Query come to, and why they are refused. Raises Unsettled."""
        state = self._state
        try:
            executed = resolve_message(
                judgement, state.prepared_statements, state.unsettled,
                unrestricted=state.unrestricted, again=self._not_any_more(batch),
            )  # fmt: skip
        except Unresolvable as refused:
            return [], (refused.violation,)
        violations = refuses_together(state, executed)
        return [] if TOO_LONG_TOGETHER in violations else executed, violations

    def _judged(self, batch: _Batch, sql: bytes) -> Judgement:
        """Raises _NotJudged and _UnknownName, before anything was done about the message."""
        state = self._state
        judgement = batch.judged.get(sql) or self._judge(sql)
        if not state.same_reading and judgement is not None and (b"\\" in sql or not sql.isascii()):
            return Judgement(judgement.text, (), (), unread=True)
        if judgement is None:
            raise _NotJudged(sql)
        if self._looks_again and not batch.settled and state.input is not _SKIPPED and judgement.has_unknown_name:
            raise _UnknownName
        return judgement

    # --- the extended protocol -------------------------------------------------------------------------

    def _parse(self, batch: _Batch, frame: Frame) -> None:
        state, names = self._state, self._state.prepared_statements
        parse = extended.decode_parse(frame.body)
        judgement = self._judged(batch, parse.text)
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
                self._facts, judgement.pgjit_setting, batch.now,
                lambda sql: extended.encode_parse(extended.Parse(parse.name, sql, ())),
            )  # fmt: skip
        if violations:
            self._refuser.refuse_parse(batch.plan, judgement, violations, batch.now, parse.name)
            return
        prepared = Prepared.of(judgement, parse.types)
        changes = (Change("statement", parse.name, prepared), *(() if certain else DOUBT))
        self._send_change(batch, raw, state.request(_PARSE, changes))

    def _send_change(self, batch: _Batch, data: bytes, request: InFlight) -> None:
        self._state.expect(request.changes, request)
        self._state.send(batch.plan, data, request)

    def _bind(self, batch: _Batch, frame: Frame) -> None:
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
        if (refused := self._not_any_more(batch)(prepared)) is not None:
            self._refuser.refuse_in_place(plan, prepared.text, refused, now)
            return
        types = tuple(prepared.types)
        parameters = kept(Parameters(values=bind.values, formats=bind.formats, types=types)) if bind.values else None
        portal = Portal(prepared, parameters, bind.name)
        changes = (Change("portal", bind.portal, portal), *(() if certain else DOUBT))
        self._send_change(batch, frame.raw, state.request(_BIND, changes))

    def _close(self, batch: _Batch, frame: Frame) -> None:
        target = extended.decode_target(frame.body)
        changes = (Change("statement" if target.kind == "S" else "portal", target.name),)
        self._send_change(batch, frame.raw, self._state.request(RequestKind.CLOSE, changes))

    def _describe(self, batch: _Batch, frame: Frame) -> None:
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
        request.describes = state.prepared_statements.statement(target.name) if target.kind == "S" else None
        state.send(batch.plan, frame.raw, request)

    def _execute(self, batch: _Batch, frame: Frame) -> None:
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
        run.own = portal.prepared.own
        request = state.request(_EXECUTE)
        request.runs.append(run)
        state.expect(run.changes, request)
        self._send_execution(batch, frame.raw, request)

    def _resolve_portal(self, batch: _Batch, name: bytes, portal: Portal) -> ExecutedStatement:
        """Raises Unsettled and Unresolvable."""
        state, again = self._state, self._not_any_more(batch)
        if (refused := again(portal.prepared)) is not None:
            raise Unresolvable(refused)
        resolver = Resolver(
            state.prepared_statements, state.prepared_statements.encoding, unrestricted=state.unrestricted,
            settled=lambda space, key: not state.unsettled(space, key), again=again,
        )  # fmt: skip
        return resolver.portal(name, portal, readable(portal.statement_name) or None)

    def _not_any_more(self, batch: _Batch) -> Look:
        """Why what was prepared is refused by now. Raises as `_judged` does."""
        if self._state.unrestricted:
            return lambda _: None
        return lambda prepared: self._again.refuses(prepared, lambda sql: self._judged(batch, sql))

    def _function_call(self, batch: _Batch, frame: Frame) -> None:
        state = self._state
        call = decode_function_call(frame.body)
        text = f"-- function call by number, {call.function}"
        if not state.unrestricted or state.budget.limits_results:  # its result is no row, and could not be cut
            self._refuser.refuse_in_place(batch.plan, text, FUNCTION_CALL, batch.now, query=True)
            return
        parameters = kept(Parameters(values=call.arguments, formats=call.formats))
        executed = ExecutedStatement(text, "function-call", None, parameters)
        request = state.request(RequestKind.FUNCTION_CALL)
        request.runs.append(state.recorder.execution(batch.plan.events, batch.now, "simple", executed))
        state.send(batch.plan, frame.raw, request, executes=True)
