"""The client's half of the relay, pure: the client's messages in, bytes for the server and records out.

Decides for each message whether it is forwarded, refused in its place, or has to wait. Knows no socket, no journal,
and no clock but of its own work: the pump writes the records of a plan before it sends the plan's bytes, and calls
`withdraw` of the state when the journal cannot take them. What the server answers is `server_side.py`'s.

INVARIANT: no frame that came from a client is forwarded unless a branch below names its type and judged it.
Under `access: full` (`unrestricted`) no rule refuses a statement: it is recorded all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import kept
from pgjit.clock import moment_of
from pgjit.errors import ProtocolFault
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.client_plan import ClientPlan, Planned
from pgjit.proxy.relay.exchange import DROPPED_BY_QUERY
from pgjit.proxy.relay.executed_statement import Unresolvable, Unsettled, resolve_message
from pgjit.proxy.relay.extended_messages import ExtendedMessages, send_execution
from pgjit.proxy.relay.limits import over_budget, refuses_together
from pgjit.proxy.relay.named_values import DOUBT, ExecutedStatement
from pgjit.proxy.relay.protocol_rules import FUNCTION_CALL, TOO_LONG_TOGETHER
from pgjit.proxy.relay.reading_settings import note_reading
from pgjit.proxy.relay.refusal import Refuser
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.short_way import ShortWay
from pgjit.proxy.relay.show_pgjit import SessionFacts, in_place_of_show
from pgjit.proxy.relay.text_judging import ClientBatch, NotJudged, TextJudging, UnknownName
from pgjit.proxy.relay.transitions import InputEvent, InputState
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame
from pgwire.messages.function_call import decode_function_call
from pgwire.messages.query import decode_query, encode_query
from pgwire.reader import BodyReader
from pgwire.state import FRONTEND, Phase, RequestKind

__all__ = ["ClientPlan", "ClientSide"]

# Members of an enum, looked up once: each look is a call of Python before 3.12.
_QUERY, _SYNC = RequestKind.QUERY, RequestKind.SYNC
_SKIPPED, _INPUT_SYNC = InputState.SKIPPED, InputEvent.SYNC
_LEGAL = FRONTEND[Phase.READY]
_PASSED_OVER = frozenset(b"BDCEH")
_JUDGED = frozenset(b"QP")
_SECONDS_AT_ONCE = 0.005
"""After so much time on judging, the other sessions get their turn. It is read from the second text on, as reading it
is a system call."""


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
        self._facts = facts
        self._spent = spent
        self._refuser = Refuser(state)
        self._texts = TextJudging(state, judge, latest, looks_again=looks_again)
        self._short_way = ShortWay(state, self._texts)
        self._captures = state.context.results is not None
        self._extended = ExtendedMessages(state, self._texts, self._refuser, facts)

    def close(self) -> None:
        """Nothing is judged any more, and the judge need not be held."""
        self._texts.close()

    def from_client(
        self,
        frames: Sequence[Frame],
        now: int,
        judged: Mapping[bytes, Judgement] | None = None,
        *,
        settled: bool = False,
    ) -> ClientPlan:
        """Judge `frames` in order. `judged` holds answers that were found outside the event loop.

        `settled`: the first of them is judged for good, with the catalog as it is now.
        """
        state, plan = self._state, ClientPlan()
        short_way, texts, began = None if judged or settled or self._captures else self._short_way, 0, 0.0
        try:
            if short_way is not None and short_way.takes_exchange(plan, frames, now):
                return plan
        except RemoteProtocolError:
            pass  # it is found again, at its message
        self._short_way.begin()
        batch = ClientBatch(plan, now, judged or {}, settled)
        for index, frame in enumerate(frames):
            if state.holds:
                plan.rest = frames[index:]
                return plan
            if frame.kind in _JUDGED:
                texts += 1
                began = self._spent() if texts == 2 else began
            try:
                if short_way is None or not short_way.takes(plan, frame, now):
                    self._frame(batch, frame)
                    if self._stops(batch, frames, index):
                        return plan
            except NotJudged as unjudged:
                plan.rest, plan.unjudged = frames[index:], unjudged.args[0]
                return plan
            except UnknownName:
                plan.rest, plan.unknown = frames[index:], True
                return plan
            except RemoteProtocolError as fault:
                plan.fault = ProtocolFault(f"malformed message: {fault}")
                return plan
            if texts > 1 and frame.kind in _JUDGED and self._spent() - began > _SECONDS_AT_ONCE:
                plan.rest = frames[index + 1 :]
                return plan
        return plan

    def _stops(self, batch: ClientBatch, frames: Sequence[Frame], index: int) -> bool:
        """Whether the batch ends with this message: it waits for an answer, or nothing comes behind it now."""
        state, plan = self._state, batch.plan
        batch.settled = False
        if state.waits and not state.holds:
            plan.rest = frames[index:]
            return True
        if plan.fault is not None or plan.goodbye:
            return True
        if plan.events and plan.heavy:
            plan.rest = frames[index + 1 :]
            return True
        return False

    def _frame(self, batch: ClientBatch, frame: Frame) -> None:
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
                self._extended.parse(batch, frame)
            case "B":
                self._extended.bind(batch, frame)
            case "E":
                self._extended.execute(batch, frame)
            case "D":
                self._extended.describe(batch, frame)
            case "C":
                self._extended.close(batch, frame)
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

    def _query(self, batch: ClientBatch, frame: Frame) -> None:
        state, plan, now = self._state, batch.plan, batch.now
        sql = decode_query(frame.body)
        judgement = self._texts.judged(batch, sql)
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
            raw, violations = in_place_of_show(self._facts, judgement.pgjit_setting, moment_of(now), encode_query)
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
        send_execution(state, plan, raw, request)

    def _executed(
        self, batch: ClientBatch, judgement: Judgement
    ) -> tuple[list[ExecutedStatement], tuple[Violation, ...]]:
        """The executions that the statements of a Query come to, and why they are refused. Raises Unsettled."""
        state = self._state
        try:
            executed = resolve_message(
                judgement, state.prepared_statements, state.unsettled,
                unrestricted=state.unrestricted, again=self._texts.as_judged_now(batch),
                opened=self._texts.opened_by_rules_of_now(batch),
            )  # fmt: skip
        except Unresolvable as refused:
            return [], (refused.violation,)
        violations = refuses_together(state, executed)
        return [] if TOO_LONG_TOGETHER in violations else executed, violations

    def _function_call(self, batch: ClientBatch, frame: Frame) -> None:
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
