"""The way of a query, pure: frames and now in, bytes and records out.

Decides what is forwarded, what is refused in its place, what is recorded, and what each answer of the server
means for that. Knows no socket, no clock and no journal: the session writes the records of a plan before it
sends the plan's bytes, and comes back with `withdraw` when the journal cannot take them.

INVARIANT: no frame that came from a client is forwarded unless a branch below names its type and judged it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from pgjit.audit.event import Event, Execution, Outcome, Parameters, SessionContext
from pgjit.errors import JournalUnavailable, PgjitError, ProtocolFault
from pgjit.policy.decision import Violation
from pgjit.proxy.about import ABOUT, answer
from pgjit.proxy.judge import Judgement
from pgjit.proxy.names import Change, Names, Portal, Prepared, changes_of
from pgjit.proxy.own_rules import FUNCTION_CALL, parse_violations, unknown_name
from pgjit.proxy.pending import ClientPlan, Pending, Planned, Run
from pgjit.proxy.poison import Refusal, poison_parse, poison_query
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.messages.query import decode_query, encode_query
from pgwire.reader import BodyReader
from pgwire.state import FRONTEND, Asked, Phase

__all__ = ["ClientPlan", "Relay"]

_ANSWERLESS = frozenset(b"dcf")
_PASSED_OVER = frozenset(b"BDCEH")


class Relay:
    """One session's state between its client and its server. The answers' half is in `answers.py`."""

    def __init__(
        self,
        context: SessionContext,
        judge: Callable[[bytes], Judgement],
        *,
        ends_at: datetime,
        new_id: Callable[[], str],
        new_token: Callable[[], bytes],
    ) -> None:
        self.context = context
        self.names = Names()
        self.queue: deque[Pending] = deque()
        # What the client sends now is passed over by the server up to the next Sync: an error was seen, or
        # a refusal is on its way that is certain to become one.
        self.skipping = False
        self.status = "I"
        self.executions = 0
        self._judge = judge
        self._ends_at = ends_at
        self._new_id = new_id
        self._new_token = new_token

    @property
    def idle(self) -> bool:
        """Nothing is running and no transaction is open."""
        return not self.queue and self.status == "I"

    @property
    def single(self) -> bool:
        """At most one unit of work is with the server: when it is cancelled, nothing is left to run."""
        return sum(pending.asked in (Asked.QUERY, Asked.SYNC) for pending in self.queue) <= 1

    # --- from the client -------------------------------------------------------------------------------

    def from_client(
        self, frames: Iterable[Frame], now: datetime, judged: Mapping[bytes, Judgement] | None = None
    ) -> ClientPlan:
        """Judge `frames` in order. `judged` holds answers that were found outside the event loop."""
        plan = ClientPlan()
        known = judged or {}
        for frame in frames:
            if frame.kind not in FRONTEND[Phase.READY]:
                plan.fault = ProtocolFault(f"invalid frontend message type {frame.kind}")
                return plan
            if frame.kind == 0x58:  # Terminate
                plan.goodbye = True
                return plan
            try:
                self._frame(plan, frame, now, known)
            except RemoteProtocolError as fault:
                plan.fault = ProtocolFault(f"malformed message: {fault}")
                return plan
        return plan

    def _frame(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        if self.skipping and frame.kind in _PASSED_OVER:
            return  # the server would pass over it up to the next Sync: nothing happens, nothing is sent
        match chr(frame.kind):
            case "Q":
                self._query(plan, frame, now, known)
            case "P":
                self._parse(plan, frame, now, known)
            case "B":
                self._bind(plan, frame, now)
            case "E":
                self._execute(plan, frame, now)
            case "D" | "C" as code:
                self._describe_or_close(plan, frame, code)
            case "S":
                BodyReader(frame.body).end()
                self.skipping = False
                self._send(plan, frame.raw, Pending(Asked.SYNC))
            case "H":
                BodyReader(frame.body).end()
                plan.items.append(Planned(frame.raw))
            case "F":
                self._function_call(plan, now)
            case _:
                # INVARIANT: what is left are CopyData, CopyDone and CopyFail, and no COPY to the server is
                # ever under way here: dropped, as the server would.
                assert frame.kind in _ANSWERLESS

    def _query(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        sql = decode_query(frame.body)
        judgement = known.get(sql) or self._judge(sql)
        violations = judgement.violations
        pending = Pending(Asked.QUERY, changes=(Change("statement", b""), Change("portal", b"")))
        # A Query drops the unnamed statement and portal before its text is even looked at.
        self._expect(pending.changes)
        violations = violations or self._name_violations(judgement)
        raw = frame.raw
        if not violations and judgement.about is not None:
            raw, violations = self._about(judgement, now, encode_query, raw)
        if violations:
            self._refuse_query(plan, judgement, violations, now, pending)
            return
        for statement in judgement.statements:
            changes = changes_of(statement)
            self._expect(changes)
            run = self._record(plan, now, "simple", statement.text, statement.kind)
            run.changes = changes
            pending.runs.append(run)
        if judgement.about is not None:
            pending.runs.append(self._record(plan, now, "simple", judgement.text, "show"))
        self._send(plan, raw, pending, executes=bool(pending.runs))

    def _name_violations(self, judgement: Judgement) -> tuple[Violation, ...]:
        """EXECUTE and FETCH run what was judged under a name: the name must be known here."""
        prepared: set[bytes] = set()
        for statement in judgement.statements:
            effect = statement.effect
            if effect is None or effect.name is None:
                continue
            name = effect.name.encode()
            if effect.verb in ("prepare", "declare"):
                prepared.add(effect.verb.encode() + name)
            elif effect.verb == "execute" and b"prepare" + name not in prepared and not self.names.statement(name):
                return (unknown_name("prepared statement", effect.name, "26000", statement.index),)
            elif effect.verb == "fetch" and b"declare" + name not in prepared and not self.names.portal(name):
                return (unknown_name("cursor", effect.name, "34000", statement.index),)
        return ()

    def _about(
        self, judgement: Judgement, now: datetime, encode: Callable[[bytes], bytes], raw: bytes
    ) -> tuple[bytes, tuple[Violation, ...]]:
        sql = answer(judgement.about or "", self.context, self._ends_at, now)
        if sql is not None:
            return encode(sql.encode()), ()
        return raw, (
            Violation(
                rule="unknown-setting",
                message=f"there is no setting `pgjit.{judgement.about}`",
                hint="Known are: " + ", ".join(f"`SHOW pgjit.{name}`" for name in ABOUT),
                sqlstate="42704",
            ),
        )

    def _refuse_query(
        self,
        plan: ClientPlan,
        judgement: Judgement,
        violations: tuple[Violation, ...],
        now: datetime,
        pending: Pending,
    ) -> None:
        """All statements of a message run, or none: each is recorded as refused."""
        pending.refusal = self._refusal(violations[0].error())
        pending.runs = self._record_refused(plan, now, "simple", judgement, violations)
        self._send(plan, poison_query(pending.refusal), pending, executes=True)

    def _parse(self, plan: ClientPlan, frame: Frame, now: datetime, known: Mapping[bytes, Judgement]) -> None:
        parse = extended.decode_parse(frame.body)
        judgement = known.get(parse.text) or self._judge(parse.text)
        violations = judgement.violations or parse_violations(judgement, parse) or self._name_violations(judgement)
        raw = frame.raw
        if not violations and judgement.about is not None:
            raw, violations = self._about(
                judgement, now, lambda sql: extended.encode_parse(extended.Parse(parse.name, sql, ())), raw
            )
        pending = Pending(Asked.PARSE)
        if violations:
            pending.refusal = self._refusal(violations[0].error())
            pending.runs = self._record_refused(plan, now, "extended", judgement, violations)
            self._send(plan, poison_parse(pending.refusal, parse.name), pending, executes=True)
            self.skipping = True
            return
        statement = judgement.statements[0] if judgement.statements else None
        pending.changes = (Change("statement", parse.name, Prepared(judgement.text, statement)),)
        self._expect(pending.changes)
        self._send(plan, raw, pending)

    def _bind(self, plan: ClientPlan, frame: Frame, now: datetime) -> None:
        bind = extended.decode_bind(frame.body)
        prepared = self.names.statement(bind.name)
        if prepared is None:
            self._refuse_name(plan, "prepared statement", bind.name, "26000", now)
            return
        formats = tuple(bind.format_of(index) for index in range(len(bind.values)))
        parameters = Parameters(values=bind.values, formats=formats) if bind.values else None
        changes = (Change("portal", bind.portal, Portal(prepared, parameters, bind.name)),)
        self.names.expect(changes)
        self._send(plan, frame.raw, Pending(Asked.BIND, changes=changes))

    def _describe_or_close(self, plan: ClientPlan, frame: Frame, code: str) -> None:
        target = extended.decode_target(frame.body)
        if code == "C":
            changes = (Change("statement" if target.kind == "S" else "portal", target.name),)
            self.names.expect(changes)
            self._send(plan, frame.raw, Pending(Asked.CLOSE, changes=changes))
            return
        asked = Asked.DESCRIBE_STATEMENT if target.kind == "S" else Asked.DESCRIBE_PORTAL
        self._send(plan, frame.raw, Pending(asked))

    def _execute(self, plan: ClientPlan, frame: Frame, now: datetime) -> None:
        execute = extended.decode_execute(frame.body)
        portal = self.names.portal(execute.portal)
        if portal is None:
            self._refuse_name(plan, "portal", execute.portal, "34000", now)
            return
        prepared = portal.prepared
        statement = prepared.statement
        run = self._record(
            plan,
            now,
            "extended",
            prepared.text,
            statement.kind if statement else None,
            parameters=portal.parameters,
            prepared_as=portal.statement_name.decode("utf-8", "replace") or None,
        )
        if statement is not None:
            run.changes = changes_of(statement, portal.parameters)
            self.names.expect(run.changes)
        self._send(plan, frame.raw, Pending(Asked.EXECUTE, [run]), executes=True)

    def _refuse_name(self, plan: ClientPlan, what: str, name: bytes, sqlstate: str, now: datetime) -> None:
        """INVARIANT: what was not judged under a name here is not run under it."""
        readable = name.decode("utf-8", "replace")
        self._refuse_in_place(plan, f"-- {what} {readable!r}", unknown_name(what, readable, sqlstate, None), now)

    def _function_call(self, plan: ClientPlan, now: datetime) -> None:
        self._refuse_in_place(plan, "-- function call by number", FUNCTION_CALL, now, query=True)

    def _refuse_in_place(
        self, plan: ClientPlan, text: str, violation: Violation, now: datetime, *, query: bool = False
    ) -> None:
        pending = Pending(Asked.QUERY if query else Asked.PARSE, refusal=self._refusal(violation.error()))
        assert pending.refusal is not None
        protocol: Literal["simple", "extended"] = "simple" if query else "extended"
        pending.runs = self._record_refused(plan, now, protocol, Judgement(text, (), (violation,)), (violation,))
        data = poison_query(pending.refusal) if query else poison_parse(pending.refusal)
        self._send(plan, data, pending, executes=True)
        self.skipping = self.skipping or not query

    # --- what both ways share --------------------------------------------------------------------------

    def _expect(self, changes: Iterable[Change]) -> None:
        if not self.skipping:
            self.names.expect(changes)

    def _send(self, plan: ClientPlan, data: bytes, pending: Pending, *, executes: bool = False) -> None:
        if self.skipping:
            # The server would pass over it: it is not sent, and no answer will come.
            plan.events.extend(self.outcomes(pending, "skipped", self._moment(pending)))
            return
        plan.items.append(Planned(data, pending, executes))
        self.queue.append(pending)

    def _moment(self, pending: Pending) -> datetime:
        return pending.runs[0].started if pending.runs else self._ends_at

    def withdraw(self, plan: ClientPlan) -> bytes:
        """The journal could not take the plan's records: refuse everything in it that runs something.

        The bytes to send instead of the plan's: what runs nothing stays, the rest the server must reject.
        """
        data: list[bytes] = []
        for item in plan.items:
            pending = item.pending
            if not item.executes or pending is None:
                data.append(item.data)
                continue
            pending.refusal = self._refusal(JournalUnavailable())
            pending.runs = []
            if pending.asked is Asked.QUERY:
                data.append(poison_query(pending.refusal))
            else:
                pending.asked = Asked.PARSE
                pending.changes = ()
                data.append(poison_parse(pending.refusal))
        return b"".join(data)

    def outcomes(
        self,
        pending: Pending,
        ended: Literal["refused", "skipped", "cut"],
        now: datetime,
        sqlstate: str | None = None,
    ) -> list[Event]:
        """Outcomes of all that is left to run of `pending`, alike."""
        left: list[Event] = [
            Outcome(
                context=self.context,
                execution_id=run.id,
                at=now,
                ended=ended,
                command=None,
                rows=run.rows,
                bytes=run.size,
                sqlstate=sqlstate,
                duration_us=int((now - run.started).total_seconds() * 1e6),
            )
            for run in pending.runs[pending.at :]
        ]
        pending.at = len(pending.runs)
        return left

    def cut(self, now: datetime) -> list[Event]:
        """The session is over: outcomes for everything that was not answered."""
        events: list[Event] = []
        while self.queue:
            events.extend(self.outcomes(self.queue.popleft(), "cut", now))
        return events

    def _refusal(self, error: PgjitError) -> Refusal:
        return Refusal(self._new_token(), error)

    def _record(
        self,
        plan: ClientPlan,
        now: datetime,
        protocol: Literal["simple", "extended"],
        text: str,
        kind: str | None,
        *,
        violations: Sequence[Violation] | None = None,
        parameters: Parameters | None = None,
        prepared_as: str | None = None,
    ) -> Run:
        run = Run(self._new_id(), now)
        self.executions += 1
        plan.events.append(
            Execution(
                context=self.context,
                execution_id=run.id,
                at=now,
                protocol=protocol,
                statement=text,
                kind=kind,
                decision="allow" if violations is None else "deny",
                violations=tuple(violations or ()),
                parameters=parameters,
                prepared_as=prepared_as,
            )
        )
        return run

    def _record_refused(
        self,
        plan: ClientPlan,
        now: datetime,
        protocol: Literal["simple", "extended"],
        judgement: Judgement,
        violations: tuple[Violation, ...],
    ) -> list[Run]:
        if not judgement.statements:
            return [self._record(plan, now, protocol, judgement.text, None, violations=violations)]
        return [
            self._record(
                plan,
                now,
                protocol,
                statement.text,
                statement.kind,
                violations=[v for v in violations if v.statement in (None, statement.index)],
            )
            for statement in judgement.statements
        ]
