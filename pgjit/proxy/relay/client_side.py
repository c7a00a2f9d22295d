"""The way of a query, pure: frames and now in, bytes and records out.

Decides what is forwarded, what is refused in its place, what is recorded, and what each answer of the server
means for that. Knows no socket, no journal, and no clock but of its own work: the session writes the records of a
plan before it sends the plan's bytes, and comes back with `withdraw` when the journal cannot take them.

INVARIANT: no frame that came from a client is forwarded unless a branch below names its type and judged it.
Under `access: full` (`unrestricted`) nothing is refused for what it does: it is recorded all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pgjit.audit.event import Parameters, SessionContext
from pgjit.audit.parameters import kept
from pgjit.errors import ProtocolFault
from pgjit.grants.usage import Usage
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.policy import NO_LIMITS
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.executed_statement import (
    Resolver,
    Unresolvable,
    Unsettled,
    describes_endless,
    resolve_message,
)
from pgjit.proxy.relay.in_flight import ClientPlan, Planned
from pgjit.proxy.relay.limits import Limited
from pgjit.proxy.relay.prepared_statements import DOUBT, Change, ExecutedStatement, Portal, Prepared, unknown
from pgjit.proxy.relay.protocol_rules import (
    FUNCTION_CALL,
    TOO_LONG_TOGETHER,
    TOO_MANY_NAMES,
    numbered,
    parse_violations,
    uncertain_name,
)
from pgjit.proxy.relay.refusal import DROPPED_BY_QUERY
from pgjit.proxy.relay.rejection import poison_parse
from pgjit.proxy.relay.rejudging import JudgedAgain, Look
from pgjit.proxy.relay.show_pgjit import answer, unknown_setting
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.messages.function_call import decode_function_call
from pgwire.messages.query import decode_query, encode_query
from pgwire.reader import BodyReader
from pgwire.state import FRONTEND, Phase, RequestKind

__all__ = ["ClientPlan", "ClientSide"]

_PASSED_OVER = frozenset(b"BDCEH")
_JUDGED = frozenset(b"QP")
_SECONDS_AT_ONCE = 0.005
"""Spent on judging messages, the others get their turn before more of them are."""


def _nobody(_: bytes) -> None:
    """Judges nothing."""


class _NotJudged(Exception):
    """A statement that takes too long to judge here: somebody has to judge it first."""


class _UnknownName(Exception):
    """A statement with a name that is not in the catalog, of which nobody has asked the server yet."""


class ClientSide(Limited):
    """Judges what the client sends. What is sent on is in flight until `server_side.py` has seen its answer."""

    def __init__(
        self,
        context: SessionContext,
        judge: Callable[[bytes], Judgement | None],
        *,
        ends_at: datetime,
        new_id: Callable[[], str],
        new_token: Callable[[], bytes],
        unrestricted: bool = False,
        budget: Budget | None = None,
        hides_details: bool = False,
        encoding: str = "UTF8",
        looks_again: bool = False,
        spent: Callable[[], float] = lambda: 0.0,
        latest: Callable[[], int] = lambda: 0,
    ) -> None:
        """`encoding` is the server's.

        `judge`: None where it takes too long; then `from_client` stops, to be called again with the answer.

        `looks_again`: `from_client` stops before it refuses a statement for a name that the catalog does not have.
        It has to be called again, with `settled`, when the catalog was looked at.
        """
        super().__init__(context, ends_at=ends_at, new_id=new_id, new_token=new_token, encoding=encoding)
        self.budget = budget or Budget(NO_LIMITS, Usage())
        self.hides_details = hides_details  # of constraints: they quote columns that may be denied
        self._judge = judge
        self.unrestricted = unrestricted
        self._looks_again = looks_again
        self._settled = False
        self._spent = spent  # seconds of work of this thread
        self._again = JudgedAgain(latest)

    def close(self) -> None:
        """Nothing is judged any more: who judges need not be held."""
        self._judge = _nobody

    # --- from the client -------------------------------------------------------------------------------

    def from_client(
        self,
        frames: Sequence[Frame],
        now: datetime,
        judged: Mapping[bytes, Judgement] | None = None,
        *,
        settled: bool = False,
    ) -> ClientPlan:
        """Judge `frames` in order. `judged` holds answers that were found outside the event loop.

        `settled`: the first of them is judged for good, with the catalog as it was found to be.
        """
        plan = ClientPlan()
        self._settled = settled
        known = judged or {}
        enough = self._spent() + _SECONDS_AT_ONCE
        for index, frame in enumerate(frames):
            if self.holds:
                plan.rest = frames[index:]
                return plan
            try:
                self._frame(plan, frame, now, known)
            except _NotJudged as unjudged:
                plan.rest, plan.unjudged = frames[index:], unjudged.args[0]
                return plan
            except _UnknownName:
                plan.rest, plan.unknown = frames[index:], True
                return plan
            except RemoteProtocolError as fault:
                plan.fault = ProtocolFault(f"malformed message: {fault}")
            self._settled = False
            if self.waits and not self.holds:
                plan.rest = frames[index:]
                return plan
            if plan.fault is not None or plan.goodbye:
                return plan
            if plan.heavy or (frame.kind in _JUDGED and self._spent() > enough):
                plan.rest = frames[index + 1 :]
                return plan
        return plan

    def _frame(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        if self.copy_in.takes(plan, frame):
            return
        if frame.kind not in FRONTEND[Phase.READY]:
            plan.fault = ProtocolFault(f"invalid frontend message type {frame.kind}")
            return
        if self.skipping and frame.kind in _PASSED_OVER:
            return  # the server would pass over it up to the next Sync: nothing happens, nothing is sent
        if frame.missing:
            self.refuse_too_large(plan, frame, now)
            return
        match chr(frame.kind):
            case "Q":
                self._query(plan, frame, now, known)
            case "P":
                self._parse(plan, frame, now, known)
            case "B":
                self._bind(plan, frame, now, known)
            case "E":
                self._execute(plan, frame, now, known)
            case "D" | "C" as code:
                self._describe_or_close(plan, frame, code, now)
            case "S":
                BodyReader(frame.body).end()
                self.skipping = False
                self.send(plan, frame.raw, self.pending(RequestKind.SYNC))
            case "H":
                BodyReader(frame.body).end()
                plan.items.append(Planned(frame.raw))
            case "F":
                self._function_call(plan, frame, now)
            case "X":
                plan.goodbye = True
            case kind:
                raise AssertionError(f"message of type {kind} is in the table and has no branch")

    def _query(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        sql = decode_query(frame.body)
        judgement = self._judged(sql, known)
        violations, running = judgement.violations, list[ExecutedStatement]()
        if not violations:
            try:
                running, violations = self._running(judgement, known)
            except Unsettled:
                return
        pending = self.pending(RequestKind.QUERY, changes=DROPPED_BY_QUERY, unread=judgement.unread)
        # A Query drops the unnamed statement and portal before its text is even looked at.
        self.expect(pending.changes, pending)
        raw = frame.raw
        if not violations and judgement.pgjit_setting is not None:
            raw, violations = self._about(judgement, now, encode_query, raw)
        violations = violations or self.over_budget(len(judgement.statements) or int(judgement.unread))
        if violations:
            self.refuse_query(plan, judgement, violations, now, pending, running)
            return
        if judgement.pgjit_setting is not None or judgement.unread:
            kind = None if judgement.unread else "show"
            changes = DOUBT if judgement.unread else ()
            running = [ExecutedStatement(judgement.text, kind, None, changes=changes)]
        for each in running:
            self.mind(each)
            self.expect(each.changes, pending)
            run = self.recorder.execution(plan.events, now, "simple", each)
            run.changes, run.copies_in = each.changes, each.copies_in
            pending.runs.append(run)
        self.send(plan, raw, pending, executes=bool(pending.runs))
        self.copy_in.offer(plan, pending)
        self.hold_behind(plan, pending)

    def _running(
        self, judgement: Judgement, known: Mapping[bytes, Judgement]
    ) -> tuple[list[ExecutedStatement], tuple[Violation, ...]]:
        """What the statements of a Query stand for, and what refuses it for that. Raises Unsettled."""
        try:
            running = resolve_message(
                judgement, self.names, self.unsettled, unrestricted=self.unrestricted, again=self._not_any_more(known)
            )
        except Unresolvable as found:
            return [], (found.violation,)
        violations = self.too_much(running)
        return [] if TOO_LONG_TOGETHER in violations else running, violations

    def _judged(self, sql: bytes, known: Mapping[bytes, Judgement]) -> Judgement:
        """Raises _NotJudged and _UnknownName, before anything was done about the message."""
        judgement = known.get(sql) or self._judge(sql)
        if not self.plainly and judgement is not None and (b"\\" in sql or not sql.isascii()):
            return Judgement(judgement.text, (), (), unread=True)
        if judgement is None:
            raise _NotJudged(sql)
        if self._looks_again and not self._settled and not self.skipping and judgement.has_unknown_name:
            raise _UnknownName
        return judgement

    def _about(
        self, judgement: Judgement, now: datetime, encode: Callable[[bytes], bytes], raw: bytes
    ) -> tuple[bytes, tuple[Violation, ...]]:
        sql = answer(judgement.pgjit_setting or "", self.context, self._ends_at, now)
        if sql is not None:
            return encode(sql.encode()), ()
        return raw, (unknown_setting(judgement.pgjit_setting or ""),)

    def _parse(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        parse = extended.decode_parse(frame.body)
        judgement = self._judged(parse.text, known)
        violations = judgement.violations
        certain = self.names.is_certain(parse.name)
        if not self.unrestricted:
            violations = violations or parse_violations(judgement, parse)
            if not certain:
                violations = violations or (uncertain_name(_shown(parse.name), self.names.encoding),)
        if parse.name and self.names.full:
            violations = violations or (TOO_MANY_NAMES,)
        raw = frame.raw
        if not violations and judgement.pgjit_setting is not None:
            raw, violations = self._about(
                judgement, now, lambda sql: extended.encode_parse(extended.Parse(parse.name, sql, ())), raw
            )
        pending = self.pending(RequestKind.PARSE)
        if violations:
            self.count_refused(len(judgement.statements))
            pending.refusal = self.refusal(numbered(violations[0], len(judgement.statements)).error())
            pending.runs = self.recorder.refused(plan.events, now, "extended", judgement, violations)
            self.send(plan, poison_parse(pending.refusal, parse.name), pending, executes=True)
            self.skipping = True
            return
        statement = judgement.statements[0] if judgement.statements else None
        prepared = Prepared(
            judgement.text, statement, judgement.unread, judgement.observed, judge=judgement.judge_number
        )
        pending.changes = (Change("statement", parse.name, prepared), *(() if certain else DOUBT))
        self.expect(pending.changes, pending)
        self.send(plan, raw, pending)

    def _bind(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        bind = extended.decode_bind(frame.body)
        if self.unsettled("statement", bind.name):
            return
        prepared = self.names.statement(bind.name)
        if prepared is None and self.unrestricted:
            prepared = unknown("prepared statement", bind.name)
        if prepared is None:
            self.refuse_name(plan, "prepared statement", bind.name, "26000", now)
            return
        certain = self.names.is_certain(bind.portal)
        if refused := self.no_portal(bind.portal, certain=certain):
            self.refuse_in_place(plan, f"-- portal {_shown(bind.portal)!r}", refused, now)
            return
        if (refused := self._not_any_more(known)(prepared)) is not None:
            self.refuse_in_place(plan, prepared.text, refused, now)
            return
        parameters = kept(Parameters(values=bind.values, formats=bind.formats)) if bind.values else None
        changes = (
            Change("portal", bind.portal, Portal(prepared, parameters, bind.name)), *(() if certain else DOUBT)
        )  # fmt: skip
        pending = self.pending(RequestKind.BIND, changes=changes)
        self.expect(changes, pending)
        self.send(plan, frame.raw, pending)

    def _describe_or_close(self, plan: ClientPlan, frame: Frame, code: str, now: datetime) -> None:
        target = extended.decode_target(frame.body)
        if code == "C":
            changes = (Change("statement" if target.kind == "S" else "portal", target.name),)
            pending = self.pending(RequestKind.CLOSE, changes=changes)
            self.expect(changes, pending)
            self.send(plan, frame.raw, pending)
            return
        try:
            endless = describes_endless(target, self.names, self.unsettled)
        except Unsettled:
            return
        if endless is not None:
            self.refuse_in_place(plan, f"-- description of {_shown(target.name)!r}", endless, now)
            return
        asked = RequestKind.DESCRIBE_STATEMENT if target.kind == "S" else RequestKind.DESCRIBE_PORTAL
        self.send(plan, frame.raw, self.pending(asked))

    def _execute(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        execute = extended.decode_execute(frame.body)
        if self.unsettled("portal", execute.portal):
            return
        portal = self.names.portal(execute.portal)
        # The unnamed portal is a Bind's, or there is none. What a failed Query leaves behind under that name in an
        # aborted transaction is freed memory: executing it ends all sessions of the server (seen with PostgreSQL 15).
        if portal is None and self.unrestricted and execute.portal:
            portal = Portal(unknown("portal", execute.portal), None, b"")
        if portal is None:
            self.refuse_name(plan, "portal", execute.portal, "34000", now)
            return
        again = self._not_any_more(known)
        try:
            if (refused := again(portal.prepared)) is not None:
                raise Unresolvable(refused)
            running = self._resolver(again).portal(execute.portal, portal, _shown(portal.statement_name) or None)
        except Unsettled:
            return
        except Unresolvable as found:
            self.refuse_in_place(plan, portal.prepared.text, found.violation, now)
            return
        if violations := self.over_limits(running):
            self.refuse_in_place(plan, running.text, violations[0], now)
            return
        self.mind(running)
        run = self.recorder.execution(plan.events, now, "extended", running)
        run.prepared, run.changes, run.copies_in = portal.prepared, running.changes, running.copies_in
        pending = self.pending(RequestKind.EXECUTE, runs=[run])
        self.expect(run.changes, pending)
        self.send(plan, frame.raw, pending, executes=True)
        self.copy_in.offer(plan, pending)
        self.hold_behind(plan, pending)

    def _not_any_more(self, known: Mapping[bytes, Judgement]) -> Look:
        """Why what was prepared is refused by now. Raises as `_judged` does."""
        if self.unrestricted:
            return lambda _: None
        return lambda prepared: self._again.refuses(prepared, lambda sql: self._judged(sql, known))

    def _resolver(self, again: Look) -> Resolver:
        return Resolver(
            self.names, self.names.encoding, unrestricted=self.unrestricted,
            settled=lambda space, name: not self.unsettled(space, name), again=again,
        )  # fmt: skip

    def _function_call(self, plan: ClientPlan, frame: Frame, now: datetime) -> None:
        call = decode_function_call(frame.body)
        text = f"-- function call by number, {call.function}"
        if not self.unrestricted or self.budget.limits_results:  # its result is no row, and could not be cut
            self.refuse_in_place(plan, text, FUNCTION_CALL, now, query=True)
            return
        parameters = kept(Parameters(values=call.arguments, formats=call.formats))
        running = ExecutedStatement(text, "function-call", None, parameters)
        run = self.recorder.execution(plan.events, now, "simple", running)
        self.send(plan, frame.raw, self.pending(RequestKind.FUNCTION_CALL, runs=[run]), executes=True)


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
