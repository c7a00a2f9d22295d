"""The short way of the client's messages: those that are allowed by what is known already. Pure.

It takes a Query of one plain statement, and Parse, Bind, Describe, Execute and Sync of the unnamed portal. It refuses
nothing: every other message, and each that might be refused or has to wait, goes the long way (`client_side.py`).
INVARIANT: what it takes has the same plan and leaves the same state as on the long way. A test compares the two.
"""

from __future__ import annotations

from pgjit.audit.parameters import bound
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight, Planned
from pgjit.proxy.relay.limits import hold_behind
from pgjit.proxy.relay.named_values import Change, ExecutedStatement, Portal, Prepared, readable
from pgjit.proxy.relay.recorder import Protocol
from pgjit.proxy.relay.refusal import DROPPED_BY_QUERY
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.text_judging import TextJudging
from pgjit.proxy.relay.transitions import InputState
from pgjit.sql.statement import Statement
from pgwire.framing import Frame
from pgwire.messages import extended
from pgwire.messages.extended import DescribeTarget
from pgwire.state import RequestKind

__all__ = ["ShortWay"]

# Members of an enum, looked up once: each look is a call of Python before 3.12.
_QUERY, _PARSE, _BIND = RequestKind.QUERY, RequestKind.PARSE, RequestKind.BIND
_DESCRIBE, _EXECUTE, _SYNC = RequestKind.DESCRIBE_PORTAL, RequestKind.EXECUTE, RequestKind.SYNC
_FORWARDED = InputState.FORWARDED
_SYNC_MESSAGE = extended.sync()
_DESCRIBE_MESSAGE = extended.encode_target(b"D", DescribeTarget("P", b""))
_LONGEST = 4096  # bytes of a text: the records of a longer one are counted
_NOT_PLAIN = frozenset({"copy-in", "copy-out", "discard"})


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
            return raw == _SYNC_MESSAGE and self._send(plan, raw, _SYNC, ())
        if kind == 0x44:
            return self._describe(plan, raw)
        if kind == 0x51:
            return self._query(plan, raw, now)
        return kind == 0x50 and self._parse(plan, raw)

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
        if judgement is None or len(judgement.statements) != 1:
            return False
        statement = judgement.statements[0]
        if judgement.observed or not _is_plain(statement) or self._state.budget.refuses() is not None:
            return False
        executed = ExecutedStatement(statement.text, statement.kind, statement)
        request = InFlight(_QUERY, segment=self._state.queue.segment, changes=DROPPED_BY_QUERY)
        self._state.prepared_statements.expect(DROPPED_BY_QUERY, request)
        self._run(plan, raw, request, "simple", executed, now)
        return True

    def _parse(self, plan: ClientPlan, raw: bytes) -> bool:
        """Take a Parse of the unnamed statement that gives no types."""
        if raw[5] or raw[-2:] != b"\0\0" or raw.find(0, 6) != len(raw) - 3:
            return False
        judgement = self._texts.at_once(raw[6:-3])
        if judgement is None or len(judgement.statements) != 1:
            return False
        return self._send(plan, raw, _PARSE, (Change("statement", b"", Prepared.of(judgement)),))

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
        if raw != _DESCRIBE_MESSAGE or (portal := self._unnamed_portal()) is None:
            return False
        statement = portal.prepared.statement
        if statement is None or statement.effect is not None:
            return False
        return self._send(plan, raw, _DESCRIBE, ())

    def _execute(self, plan: ClientPlan, raw: bytes, now: int) -> bool:
        if len(raw) != 10 or raw[5] or (portal := self._unnamed_portal()) is None:
            return False
        prepared, state = portal.prepared, self._state
        statement = prepared.statement
        if statement is None or len(prepared.text) > _LONGEST or not _is_plain(statement) or portal.began is not None:
            return False
        if prepared.own or prepared.doubtful or portal.doubtful or not self._is_latest(prepared):
            return False
        if state.budget.refuses() is not None:
            return False
        executed = ExecutedStatement(
            prepared.text, statement.kind, statement, portal.parameters, readable(portal.statement_name) or None,
            observed=prepared.observed,
        )  # fmt: skip
        request = InFlight(_EXECUTE, segment=state.queue.segment)
        self._run(plan, raw, request, "extended", executed, now)
        request.runs[0].prepared = prepared
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


def _is_plain(statement: Statement) -> bool:
    """It changes no name and no setting, shows no setting, and copies nothing."""
    return (
        statement.effect is None
        and not statement.settings
        and not statement.shown_settings
        and statement.kind not in _NOT_PLAIN
    )
