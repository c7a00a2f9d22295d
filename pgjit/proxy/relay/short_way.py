"""The short way of the client's messages: those that are allowed by what is known already. Pure.

It takes a Query of one plain statement, and Parse, Bind, Describe, Execute and Sync of the unnamed portal: as one
exchange where they are all that is with the server, else message by message. It refuses nothing: every other message,
and each that might be refused or has to wait, goes the long way (`client_side.py`).
INVARIANT: what it takes has the same plan and leaves the same state as on the long way. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgjit.audit.parameters import bound
from pgjit.proxy.relay.client_plan import ClientPlan, Planned
from pgjit.proxy.relay.exchange import ANSWERS, DESCRIBE, DROPPED_BY_QUERY, EXECUTE, SYNC, LoneExchange
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.limits import hold_behind
from pgjit.proxy.relay.named_values import Change, ExecutedStatement, Portal, Prepared, readable
from pgjit.proxy.relay.recorder import Protocol
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.text_judging import TextJudging
from pgjit.proxy.relay.transitions import CopyState, InputState
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["ShortWay"]

# Members of an enum, looked up once: each look is a call of Python before 3.12.
_QUERY, _PARSE, _BIND = RequestKind.QUERY, RequestKind.PARSE, RequestKind.BIND
_DESCRIBE, _EXECUTE, _SYNC = RequestKind.DESCRIBE_PORTAL, RequestKind.EXECUTE, RequestKind.SYNC
_FORWARDED, _NO_COPY = InputState.FORWARDED, CopyState.NONE
_LONGEST = 4096  # bytes of a Query whose records need not be counted
_MOST_FRAMES = 5  # of an exchange
_ANSWERS = {
    (parsed, described): ANSWERS[b"P"[:parsed] + (b"BDES" if described else b"BES")]
    for parsed in (0, 1) for described in (False, True)
}  # fmt: skip


class ShortWay:
    def __init__(self, state: RelayState, texts: TextJudging) -> None:
        self._state = state
        self._texts = texts
        self._latest: int | None = None  # the number of the judge with the latest catalog, looked up once a batch

    def begin(self) -> None:
        """A batch begins: until its end the catalog stays what it is."""
        self._latest = None

    def takes(self, plan: ClientPlan, frame: Frame, now: int) -> bool:
        """Whether the message went on. If not, nothing has changed. Raises RemoteProtocolError."""
        state = self._state
        kind, raw, missing = frame
        if missing or state.input is not _FORWARDED or state.copy_in.active:
            return False
        if kind == 0x42:
            return self._bind(plan, raw)
        if kind == 0x45:
            return self._execute(plan, raw, now)
        if kind == 0x53:
            return raw == SYNC and self._send(plan, raw, _SYNC, ())
        if kind == 0x44:
            return self._describe(plan, raw)
        if kind == 0x51:
            return self._query(plan, raw, now)
        return kind == 0x50 and self._parse(plan, raw)

    def takes_exchange(self, plan: ClientPlan, frames: Sequence[Frame], now: int) -> bool:
        """Take all `frames` at once if they are one execution, and nothing else is with the server.

        Returns False, and has changed nothing, if they are not. Raises RemoteProtocolError.
        """
        state, count = self._state, len(frames)
        queue = state.queue
        if (
            queue.first is not None
            or queue.exchange is not None
            or state.input is not _FORWARDED
            or state.copy_in.state is not _NO_COPY
            or state.budget.limits_results
        ):
            return False
        if count == 1:
            return frames[0][0] == 0x51 and self._query_alone(plan, frames[0], now)
        if not 3 <= count <= _MOST_FRAMES or frames[-1][1] != SYNC or frames[-2][1] != EXECUTE:
            return False
        messages = [raw for _, raw, missing in frames if not missing]
        described = messages[-3] == DESCRIBE
        at = count - (4 if described else 3)
        if len(messages) != count or messages[at][0] != 0x42:
            return False
        parsed = None
        if at and (messages[0][0] != 0x50 or at > 1 or (parsed := self._parsed(messages[0])) is None):
            return False
        return self._bound_alone(plan, messages, _ANSWERS[at, described], messages[at], parsed, now)

    def _query_alone(self, plan: ClientPlan, frame: Frame, now: int) -> bool:
        _, raw, missing = frame
        if missing or len(raw) > _LONGEST or raw.find(0, 5) != len(raw) - 1:
            return False
        judgement = self._texts.at_once(raw[5:-1])
        if judgement is None or (statement := judgement.plain) is None or judgement.observed:
            return False
        if self._state.budget.refuses() is not None:
            return False
        run = self._state.recorder.plain(plan.events, now, "simple", statement, statement.text)
        self._begin(plan, LoneExchange([raw], ANSWERS[b"Q"], self._state.queue.segment, len(raw), run))
        return True

    def _bound_alone(
        self,
        plan: ClientPlan,
        messages: list[bytes],
        answer: tuple[bytes, bytes],
        bind: bytes,
        parsed: Prepared | None,
        now: int,
    ) -> bool:
        state = self._state
        portal, name, formats, values, results = extended.decode_bind(bind[5:])
        prepared = state.prepared_statements.statement(name) if name or parsed is None else parsed
        if portal or prepared is None or (statement := prepared.plain) is None or prepared.doubtful:
            return False
        if prepared.judge != self._texts.latest() or state.budget.refuses() is not None:
            return False
        parameters = bound(values, formats, prepared.types.known)
        run = state.recorder.plain(
            plan.events, now, "extended", statement, prepared.text, parameters,
            name.decode("utf-8", "replace") if name else None, prepared.observed,
        )  # fmt: skip
        run.prepared, run.formats = prepared, results
        made = Portal(prepared, parameters, name, False, None, False, results)
        size = sum(map(len, messages))
        self._begin(plan, LoneExchange(messages, answer, state.queue.segment, size, run, made, parsed))
        return True

    def _begin(self, plan: ClientPlan, exchange: LoneExchange) -> None:
        plan.exchange = exchange
        self._state.prepared_statements.expect_exchange(exchange)
        self._state.queue.begin(exchange)

    def _send(self, plan: ClientPlan, raw: bytes, kind: RequestKind, changes: tuple[Change, ...]) -> bool:
        state = self._state
        request = InFlight(kind, segment=state.queue.segment, changes=changes)
        if changes:
            state.prepared_statements.expect(changes, request)
        plan.items.append(Planned(raw, request))
        state.queue.append(request, len(raw))
        return True

    def _query(self, plan: ClientPlan, raw: bytes, now: int) -> bool:
        if len(raw) > _LONGEST or raw.find(0, 5) != len(raw) - 1:
            return False
        judgement = self._texts.at_once(raw[5:-1])
        if judgement is None or (statement := judgement.plain) is None or judgement.observed:
            return False
        if self._state.budget.refuses() is not None:
            return False
        executed = ExecutedStatement(statement.text, statement.kind, statement)
        request = InFlight(_QUERY, segment=self._state.queue.segment, changes=DROPPED_BY_QUERY)
        self._state.prepared_statements.expect(DROPPED_BY_QUERY, request)
        self._run(plan, raw, request, "simple", executed, now)
        return True

    def _parse(self, plan: ClientPlan, raw: bytes) -> bool:
        """Take a Parse of the unnamed statement that gives no types."""
        prepared = self._parsed(raw)
        return prepared is not None and self._send(plan, raw, _PARSE, (Change("statement", b"", prepared),))

    def _parsed(self, raw: bytes) -> Prepared | None:
        if raw[5] or raw[-2:] != b"\0\0" or raw.find(0, 6) != len(raw) - 3:
            return None
        judgement = self._texts.at_once(raw[6:-3])
        if judgement is None or len(judgement.statements) != 1:
            return None
        return Prepared.of(judgement)

    def _bind(self, plan: ClientPlan, raw: bytes) -> bool:
        state = self._state
        portal, name, formats, values, results = extended.decode_bind(raw[5:])
        if portal or state.unsettled("statement", name):
            return False
        prepared = state.prepared_statements.statement(name)
        if prepared is None or not self._is_latest(prepared):
            return False
        parameters = bound(values, formats, prepared.types.known)
        made = Portal(prepared, parameters, name, formats=results)
        return self._send(plan, raw, _BIND, (Change("portal", b"", made),))

    def _describe(self, plan: ClientPlan, raw: bytes) -> bool:
        if raw != DESCRIBE or (portal := self._unnamed_portal()) is None:
            return False
        statement = portal.prepared.statement
        if statement is None or statement.effect is not None:
            return False
        return self._send(plan, raw, _DESCRIBE, ())

    def _execute(self, plan: ClientPlan, raw: bytes, now: int) -> bool:
        if len(raw) != 10 or raw[5] or (portal := self._unnamed_portal()) is None:
            return False
        prepared, state = portal.prepared, self._state
        if (statement := prepared.plain) is None or portal.began is not None:
            return False
        if prepared.doubtful or portal.doubtful or not self._is_latest(prepared):
            return False
        if state.budget.refuses() is not None:
            return False
        executed = ExecutedStatement(
            prepared.text, statement.kind, statement, portal.parameters, readable(portal.statement_name) or None,
            observed=prepared.observed,
        )  # fmt: skip
        request = InFlight(_EXECUTE, segment=state.queue.segment)
        self._run(plan, raw, request, "extended", executed, now)
        request.runs[0].prepared, request.runs[0].formats = prepared, portal.formats
        return True

    def _run(
        self,
        plan: ClientPlan,
        raw: bytes,
        request: InFlight,
        protocol: Protocol,
        executed: ExecutedStatement,
        now: int,
    ) -> None:
        state = self._state
        request.runs.append(state.recorder.execution(plan.events, now, protocol, executed))
        plan.items.append(Planned(raw, request, executes=True))
        state.queue.append(request, len(raw))
        if state.budget.limits_results:
            hold_behind(state, plan, request)

    def _unnamed_portal(self) -> Portal | None:
        """None: there is none, or an answer has to come first."""
        state = self._state
        return None if state.unsettled("portal", b"") else state.prepared_statements.portal(b"")

    def _is_latest(self, prepared: Prepared) -> bool:
        """Whether the judge with the latest catalog has allowed it."""
        if self._latest is None:
            self._latest = self._texts.latest()
        return prepared.judge == self._latest
