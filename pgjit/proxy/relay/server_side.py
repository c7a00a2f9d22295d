"""The server's half of the relay, pure: the server's bytes in, bytes for the client and outcomes out.

Decides to which request a message belongs, with which outcome the request ends, and what the client reads. Ends the
session when the server sends what the protocol has no place for, or reports a setting that must not change. Decides
nothing about what may run: that is `client_side.py`'s.
"""

from __future__ import annotations

from datetime import datetime

from pgjit.errors import BudgetSpent, PgjitError, ProtocolFault, ServerEndedSession, ServerUnavailable
from pgjit.policy.session_settings import UTF8
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.prepared_statements import ExecutedStatement, Portal, Prepared
from pgjit.proxy.relay.reading_settings import reads_differently
from pgjit.proxy.relay.recorder import Ended
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_step import ScannedData, ServerStep
from pgjit.proxy.relay.transitions import EndEvent, InFlightState, InputEvent, RequestEvent, StreamEvent, StreamState
from pgjit.proxy.window.end_errors import WorkOutcome, with_work_outcome
from pgwire.errors import RemoteProtocolError
from pgwire.framing import BrokenStream, ControlMessage, StreamReader, fitting_messages
from pgwire.messages.query import (
    decode_command_complete,
    decode_error,
    decode_parameter_status,
    decode_ready,
    error_response,
)
from pgwire.messages.results import decode_parameter_description
from pgwire.state import ASYNCHRONOUS, FINAL_RESPONSES, RESPONSES, RETURNS_ROWS, RequestKind

__all__ = ["ServerSide"]

MAX_CONTROL = 16 * 1024 * 1024
_LONGEST_FIELD = 1000
"""Characters of a field of an error, where the policy limits what a result may give."""
_QUOTING = ("21", "22", "23", "44")
"""Classes of errors whose DETAIL may quote data: constraints, subqueries of more than one row, values."""
_FINISHES = frozenset(b"CIs")
_RUNNING = (RequestKind.QUERY, RequestKind.EXECUTE)
_CUT, _REFUSED = InFlightState.CUT, InFlightState.REFUSED
_FOLLOWING, _DISCARDING, _DESYNCHRONISED = StreamState
_LAST_ANSWER, _COMPLETED = RequestEvent.LAST_ANSWER, RequestEvent.COMPLETED


class ServerSide:
    """Reads the server's stream, and takes answered requests out of the queue of `state`."""

    def __init__(self, state: RelayState, tripwire: dict[str, str], *, hides_details: bool = False) -> None:
        """`tripwire`: settings that must keep these values for the session to live.

        `hides_details`: errors lose a DETAIL that may quote columns which the policy denies.
        """
        self._state = state
        self._tripwire = tripwire
        self.hides_details = hides_details
        # If notices count they are held until they are whole: one that has begun could not be left out.
        opaque = b"VA" if state.budget.limits_results else b"VNA"
        self._stream = StreamReader(opaque=opaque, limit=MAX_CONTROL)

    @property
    def inside_message(self) -> bool:
        """The client has a message in part: nothing else can be sent to it now."""
        state, head = self._state, self._state.queue.head
        cut = head is not None and head.state is _CUT
        return self._stream.inside_message and state.stream is _FOLLOWING and not cut

    def from_server(self, data: bytes, now: datetime) -> ServerStep:
        return self.read(self.scan(data), now)

    def scan(self, data: bytes) -> ScannedData:
        """Split the data into messages. Each result has to be read before more is scanned."""
        if self._state.stream is _DESYNCHRONISED:
            return ScannedData(b"", [], None, 0)
        try:
            chunk, controls = self._stream.feed(data)
        except BrokenStream as broken:
            return ScannedData(broken.chunk, broken.controls, broken, 0)
        return ScannedData(chunk, controls, None, self._stream.missing)

    def read(self, scanned: ScannedData, now: datetime) -> ServerStep:
        step = ServerStep()
        if self._state.stream is _DESYNCHRONISED:
            return step
        self._read(step, scanned, now)
        if step.fault is not None:
            self._state.move_stream(StreamEvent.FAULT)
        return step

    def _read(self, step: ServerStep, scanned: ScannedData, now: datetime) -> None:
        chunk, kept = scanned.chunk, 0
        for control in scanned.controls:
            good = control.start - control.size
            try:
                replaced = None
                if control.size:
                    passed = self._count(step, control, chunk, now)
                    if passed < control.size:
                        step.data.append(chunk[kept : good + passed])
                        kept = control.start
                if step.fault is None:
                    good = control.start
                    replaced = self._control(step, chunk, control, now)
            except RemoteProtocolError as malformed:
                step.fault = _server_fault(f"it sent what the protocol does not allow ({malformed})")
            if step.fault is not None:
                if good > kept:
                    step.data.append(chunk[kept:good])
                return
            if replaced is not None:
                step.data += [chunk[kept : control.start], replaced]
                kept = control.end
        if rest := chunk[kept:] if kept else chunk:
            step.data.append(rest)
        if scanned.fault is not None:
            step.fault = _server_fault(f"it sent what the protocol does not allow ({scanned.fault})")

    def _control(self, step: ServerStep, chunk: bytes, control: ControlMessage, now: datetime) -> bytes | None:
        """The bytes to send instead of the message; None to send it as it is."""
        if self._state.stream is not _DISCARDING:
            return self._answer(step, chunk, control, now)
        replaced = self._answer(step, chunk, control, now)
        if control.kind == 0x5A:
            self._state.move_stream(StreamEvent.READY)
        passes = control.kind in ASYNCHRONOUS or control.kind in b"\0Z" or self._state.last_words is not None
        return replaced if passes else b""

    def _answer(self, step: ServerStep, chunk: bytes, control: ControlMessage, now: datetime) -> bytes | None:
        kind = control.kind
        head = self._state.queue.head
        if not kind or kind in ASYNCHRONOUS:
            if kind == 0x53:  # ParameterStatus
                self._watch(step, chunk[control.start + 5 : control.end])
            return self._notice(step, control.end - control.start, head) if kind == 0x4E else None
        if kind == 0x45:  # ErrorResponse
            return self._error(step, chunk[control.start : control.end], head, now)
        if head is None or kind not in RESPONSES[head.kind]:
            step.fault = _server_fault(f"it sent a message of type {chr(kind)!a} that nothing asked for")
            return None
        if head.state is _REFUSED:
            # INVARIANT: the server rejects a refused request. Any other answer is a hole, and ends the session.
            step.fault = _server_fault("it accepted a message that it had to reject")
            return None
        return self._answered(step, chunk[control.start + 5 : control.end], kind, head, now)

    def _count(self, step: ServerStep, control: ControlMessage, chunk: bytes, now: datetime) -> int:
        """How many bytes of the data before `control` are passed on: all of them, or those within the limits.

        A message counts with its whole length when it begins, for its rest cannot be left out later.
        """
        head = self._state.queue.head
        if control.rows and (head is None or head.rejection is not None or head.kind not in RETURNS_ROWS):
            step.fault = _server_fault("it sent rows that nothing asked for")
            return control.size
        run = None if head is None else head.current
        discarding = self._state.stream is _DISCARDING
        if head is None or run is None:
            return 0 if discarding else control.size
        if discarding or head.state is _CUT:
            return 0
        start = control.start - control.size
        first, end = max(start, self._stream.lead), control.start
        if first < end and not control.kind:
            end += self._stream.missing
        rows, budget = control.rows, self._state.budget
        room = None if run.own else budget.room(run.rows, run.size)
        if room is not None and (rows > room[0] or end - first > room[1]):
            rows, end = fitting_messages(chunk, first, control.start, *room)
            if end < control.start:
                self._cut(step, head)
        if rows and not run.rows:
            run.first_row = now
        run.rows += rows
        run.size += end - first
        if not run.own:
            budget.count(rows, end - first)
        return min(end, control.start) - start

    def _cut(self, step: ServerStep, head: InFlight) -> None:
        """The result of `head` is over a limit: nothing more of it is passed on, and the server is to stop it."""
        step.cancel = True
        if head.state is InFlightState.SENT:
            head.move(RequestEvent.OVER_LIMIT)

    def _notice(self, step: ServerStep, size: int, head: InFlight | None) -> bytes | None:
        """A notice counts as bytes of its execution, for a function may put data in it. Over a limit it is left out.

        A notice of planning, at a Parse or Bind, belongs to no execution and counts for the window alone.
        """
        budget = self._state.budget
        if head is None or not budget.limits_results:
            return None
        if self._state.stream is _DISCARDING or head.state in (_CUT, InFlightState.REFUSED):
            return b""  # a refused request runs nothing that could have something to report
        run = head.current
        room = budget.room(run.rows, run.size) if run is not None else budget.room(0, 0)
        if room is not None and size > room[1]:
            if run is not None:
                self._cut(step, head)
            return b""
        if run is not None:
            run.size += size
        budget.count(0, size)
        return None

    def _answered(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: datetime) -> bytes | None:
        state = self._state
        replaced = b"" if head.state is _CUT and kind == 0x63 else None  # CopyDone: an error comes in its place
        if kind == 0x47 and not state.copy_in.begin(head):  # CopyInResponse
            step.fault = _server_fault("it asked for data that nobody offered")
            return None
        if kind == 0x74 and head.describes is not None:  # ParameterDescription
            head.describes.types.note(decode_parameter_description(body))
        if kind in _FINISHES and head.kind in _RUNNING:
            replaced = self._finished(step, body, kind, head, now)
        if kind == 0x5A:
            state.transaction_status, state.finished_at = decode_ready(body), now
            if state.transaction_status == "I":
                state.prepared_statements.transaction_over()
            called = head.kind is RequestKind.FUNCTION_CALL
            step.events.extend(state.recorder.finish(head, now, "completed" if called else "skipped"))
        if kind in FINAL_RESPONSES[head.kind]:
            head.move(_LAST_ANSWER)
            state.prepared_statements.confirm(head.changes)
            state.queue.pop()
        return replaced

    def _finished(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: datetime) -> bytes | None:
        state = self._state
        state.copy_in.stop()
        state.finished_at = now
        run = head.current
        if run is None:
            # A rule of the database may answer one statement with more than one tag: it belongs to no execution.
            return None
        command = decode_command_complete(body) if kind == 0x43 else None
        ended: Ended = "suspended" if kind == 0x73 else "completed"
        head.at += 1
        state.prepared_statements.confirm(run.changes)
        cut = head.state is _CUT
        head.move(_COMPLETED)
        if cut:
            return self._cut_too_late(step, head, run, now)
        step.events.append(state.recorder.outcome(run, now, ended, command=command))
        return None

    def _cut_too_late(self, step: ServerStep, head: InFlight, run: Run, now: datetime) -> bytes:
        """The server completed the statement before the cancel: the client reads an error, and nothing more of it."""
        state = self._state
        error = state.budget.exceeded(run.rows, run.size, stopped=False)
        step.events.append(state.recorder.outcome(run, now, "limited", error.fields()))
        state.move_stream(StreamEvent.ERROR_OF_OURS)
        if head.kind is RequestKind.EXECUTE and not state.queue.has_sync:
            state.move_input(InputEvent.ERROR)
        return error_response(error.fields())

    # --- errors ----------------------------------------------------------------------------------------

    def _error(self, step: ServerStep, raw: bytes, head: InFlight | None, now: datetime) -> bytes | None:
        state, fields = self._state, decode_error(raw[5:])
        if fields.get("V", fields.get("S", "ERROR")) in ("FATAL", "PANIC"):
            if state.ending:
                if head is not None:
                    state.move_end(EndEvent.STOPPED)
                return b""
            state.last_words = ServerEndedSession(fields.get("C", "XX000"), fields.get("M", "no message"))
            state.move_end(EndEvent.FATAL)
        if head is None:
            return None
        unseen = state.copy_in.stop()
        cut = head.state is _CUT
        head.move(RequestEvent.ERROR)
        state.finished_at = now
        if head.rejection is not None:
            replaced = self._rejected(step, raw, fields, head, now)
        else:
            replaced = self._failed(step, fields, head, now, cut=cut)
        self._after_error(step, head, now)
        step.to_server = b"".join([state.late_sync() for _ in range(unseen)])
        return replaced

    def _rejected(
        self, step: ServerStep, raw: bytes, fields: dict[str, str], head: InFlight, now: datetime
    ) -> bytes | None:
        """Any error rejects a refused request: another one may come first (a cancel, a timeout)."""
        rejection = head.rejection
        assert rejection is not None
        ours = rejection.is_answer(raw)
        sqlstate = rejection.error.fields()["C"] if ours else fields.get("C")
        step.events.extend(self._state.recorder.finish(head, now, "refused", sqlstate))
        return rejection.response() if ours else self._cancelled(fields)

    def _failed(
        self, step: ServerStep, fields: dict[str, str], head: InFlight, now: datetime, *, cut: bool
    ) -> bytes | None:
        recorder, limited = self._state.recorder, None
        if (run := head.current) is not None:
            head.at += 1
            limited = self._limit(run, now, fields.get("C"), cut=cut)
            ended: Ended = "failed" if limited is None else "limited"
            step.events.append(recorder.outcome(run, now, ended, limited.fields() if limited else fields))
        elif (brought := head.brings) is not None:
            self._never_ran(step, brought, now, fields)
        step.events.extend(recorder.finish(head, now, "skipped"))
        if limited is not None:
            return error_response(limited.fields())
        return self._cancelled(fields) or self._discreet(fields)

    def _discreet(self, fields: dict[str, str]) -> bytes | None:
        """The server's error without data that a result could not have; None: it has no such data."""
        shown = dict(fields)
        if self.hides_details and fields.get("C", "").startswith(_QUOTING):
            shown.pop("D", None)  # it quotes the row, or the key
        if self._state.budget.limits_results:
            shown = {code: _shortened(text) for code, text in shown.items()}
        return None if shown == fields else error_response(shown)

    def _limit(self, run: Run, now: datetime, sqlstate: str | None, *, cut: bool) -> BudgetSpent | None:
        """The policy's limit behind the server's error. None: the error has another reason."""
        budget = self._state.budget
        if cut:
            return budget.exceeded(run.rows, run.size, stopped=True)
        return budget.overran(run.started, now) if sqlstate == "57014" and self._state.end_error is None else None

    def _never_ran(self, step: ServerStep, brought: Prepared | Portal, now: datetime, fields: dict[str, str]) -> None:
        """The server rejected a Parse or a Bind: its execution failed, whether or not an Execute was sent already.

        Such an error may hold data, for planning runs functions. So it is recorded in any case.
        """
        state = self._state
        prepared, parameters = (
            (brought.prepared, brought.parameters) if isinstance(brought, Portal) else (brought, None)
        )
        for request in state.queue.before_sync():
            if (run := request.current) is not None and run.prepared is prepared:
                request.at += 1
                step.events.append(state.recorder.outcome(run, now, "failed", fields))
                return
        kind = prepared.statement.kind if prepared.statement else None
        executed = ExecutedStatement(prepared.text, kind, prepared.statement, parameters)
        run = state.recorder.execution(step.events, now, "extended", executed)
        step.events.append(state.recorder.outcome(run, now, "failed", fields))

    def _cancelled(self, fields: dict[str, str]) -> bytes | None:
        """The server cancelled a statement because pgjit ends the session: the error gives the reason already here.

        Many clients leave at the first error and never read the FATAL that follows.
        """
        error = self._state.end_error
        if error is None or fields.get("C") != "57014":
            return None
        self._state.move_end(EndEvent.STOPPED)
        why = {code: text for code, text in with_work_outcome(error, WorkOutcome.CANCELLED).items() if code in "DHR"}
        message = error.message.replace("terminating connection", "canceling statement")
        return error_response({**fields, "M": message, **why})

    def _after_error(self, step: ServerStep, head: InFlight, now: datetime) -> None:
        """An error in the extended protocol makes the server pass over everything up to the next Sync."""
        state, requests = self._state, self._state.queue.requests
        if head.kind not in (RequestKind.QUERY, RequestKind.FUNCTION_CALL, RequestKind.SYNC):
            while requests and requests[0].kind is not RequestKind.SYNC:
                passed_over = state.queue.pop()
                passed_over.move(RequestEvent.PASSED_OVER)
                step.events.extend(state.recorder.finish(passed_over, now, "skipped"))
            if not requests:
                state.move_input(InputEvent.ERROR)
        elif head.kind is RequestKind.QUERY:
            state.prepared_statements.confirm(head.changes)
            head.changes = ()
        state.fall_back()

    def _watch(self, step: ServerStep, body: bytes) -> None:
        name, value = decode_parameter_status(body)
        if self._state.unrestricted and reads_differently(name, value):
            self._state.read_differently()
        expected = self._tripwire.get(name)
        if expected is not None and value != expected and not (name == "client_encoding" and value.lower() in UTF8):
            step.reason = "tripwire"
            step.fault = ServerUnavailable(
                f"terminating connection: setting `{name}` changed",
                reference="tripwire",
                detail=f"It was `{expected}` and is now `{value}`: what is judged may no longer be what runs.",
                hint="Connect again, and leave this setting as it is.",
            )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FIELD else f"{text[:_LONGEST_FIELD]}... (cut)"


def _server_fault(what: str) -> PgjitError:
    return ProtocolFault(
        "terminating connection: the database server broke the protocol", detail=f"This cannot go on: {what}."
    )
