"""The server's half of the relay, pure: the server's bytes in, bytes for the client and outcomes out.

Decides to which request a message belongs, with which outcome the request ends, and what the client reads. Ends the
session when the server sends what the protocol has no place for. Decides nothing about what may run: that is
`client_side.py`'s.

The answers to a request that was neither refused nor cut go the short way, by the tables of `server_acts.py`. All
others are checked one by one.
"""

from __future__ import annotations

from pgjit.audit.event import Ended
from pgjit.errors import PgjitError, ProtocolFault
from pgjit.proxy.relay.exchange import LoneExchange
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_acts import ACTS, ANSWERED, CHECKED, COMPLETED, READY
from pgjit.proxy.relay.server_errors import ServerErrors
from pgjit.proxy.relay.server_step import ScannedData, ServerStep, new_scanned_data
from pgjit.proxy.relay.transitions import REQUEST, InFlightState, InputEvent, RequestEvent, StreamEvent, StreamState
from pgwire.errors import RemoteProtocolError
from pgwire.framing import BrokenStream, ControlMessage, StreamReader, fitting_messages
from pgwire.messages.query import decode_command_complete, decode_ready, error_response
from pgwire.messages.results import decode_parameter_description
from pgwire.state import ASYNCHRONOUS, FINAL_RESPONSES, RESPONSES, RETURNS_ROWS, RequestKind
from pgwire.whole_answer import WholeAnswer, read_whole_answer

__all__ = ["ServerSide"]

MAX_CONTROL = 16 * 1024 * 1024
_FINISHES = frozenset(b"CIs")
_RUNNING = (RequestKind.QUERY, RequestKind.EXECUTE)
_SENT, _CUT, _REFUSED = InFlightState.SENT, InFlightState.CUT, InFlightState.REFUSED
_FOLLOWING, _DISCARDING, _DESYNCHRONISED = StreamState
_ANSWERED = REQUEST[_SENT][RequestEvent.LAST_ANSWER]
_NO_CONTROLS: list[ControlMessage] = []
_LAST_ANSWER, _COMPLETED = RequestEvent.LAST_ANSWER, RequestEvent.COMPLETED


class ServerSide:
    """Reads the server's stream, and takes answered requests out of the queue of `state`."""

    def __init__(self, state: RelayState, tripwire: dict[str, str], *, hides_details: bool = False) -> None:
        """`tripwire`: settings that must keep these values for the session to live.

        `hides_details`: errors lose a DETAIL that may quote columns which the policy denies.
        """
        self._state = state
        self.errors = ServerErrors(state, tripwire, hides_details=hides_details)
        # If notices count they are held until they are whole: one that has begun could not be left out.
        opaque = b"VA" if state.budget.limits_results else b"VNA"
        self._stream = StreamReader(opaque=opaque, limit=MAX_CONTROL)
        self._captures = state.context.results is not None

    @property
    def inside_message(self) -> bool:
        """The client has a message in part: nothing else can be sent to it now."""
        state, head = self._state, self._state.queue.head
        cut = head is not None and head.state is _CUT
        return self._stream.inside_message and state.stream is _FOLLOWING and not cut

    def from_server(self, data: bytes, now: int) -> ServerStep:
        return self.read(self.scan(data), now)

    def scan(self, data: bytes) -> ScannedData:
        """Split the data into messages. Each result has to be read before more is scanned."""
        state = self._state
        exchange = state.queue.exchange
        if exchange is not None and self._stream.between_messages and state.stream is _FOLLOWING:
            acknowledged, then = exchange.answer
            answer = read_whole_answer(data, acknowledged, then)
            if answer is not None:
                return new_scanned_data(ScannedData, (data, _NO_CONTROLS, None, 0, answer))
        return self._split(data)

    def _split(self, data: bytes) -> ScannedData:
        if self._state.stream is _DESYNCHRONISED:
            return ScannedData(b"", [], None, 0)
        try:
            chunk, controls = self._stream.feed(data)
        except BrokenStream as broken:
            return ScannedData(broken.chunk, broken.controls, broken, 0)
        return new_scanned_data(ScannedData, (chunk, controls, None, self._stream.missing, None))

    def read(self, scanned: ScannedData, now: int) -> ServerStep:
        step = ServerStep()
        if self._state.stream is _DESYNCHRONISED:
            return step
        exchange, answer = self._state.queue.exchange, scanned[4]
        if answer is not None:
            if exchange is not None:
                self._end(exchange, answer, step, scanned[0], now)
                return step
            scanned = self._split(scanned[0])  # it was unfolded after the data was scanned
        elif exchange is not None:
            self._state.queue.unfold()
        kept = self._read(step, scanned, now)
        if step.fault is not None:
            self._state.move_stream(StreamEvent.FAULT)
        elif rest := scanned.chunk[kept:] if kept else scanned.chunk:
            step.data.append(rest)
        if scanned.fault is not None and step.fault is None:
            step.fault = _server_fault(f"it sent what the protocol does not allow ({scanned.fault})")
            self._state.move_stream(StreamEvent.FAULT)
        return step

    def _read(self, step: ServerStep, scanned: ScannedData, now: int) -> int:
        """Read the messages. Returns where the bytes of the chunk begin that are not in `step.data` yet."""
        state, queue, chunk, kept, start = self._state, self._state.queue, scanned.chunk, 0, 0
        try:
            for control in scanned.controls:
                kind, start, end, rows, size = control
                head = queue.first
                act = CHECKED
                if head is not None and head.state is _SENT and state.stream is _FOLLOWING and not self._captures:
                    act = ACTS[head.kind][kind]
                    if size and act != CHECKED and not self._counted(head, kind, start, rows, size, now):
                        act = CHECKED
                if head is None or act == CHECKED:
                    kept = self._checked(step, chunk, control, kept, now)
                    if step.fault is not None:
                        return kept
                elif act == ANSWERED:
                    head.state = _ANSWERED
                    if head.changes:
                        state.prepared_statements.confirm(head.changes)
                    queue.pop()
                elif act == COMPLETED:
                    self._finished(step, chunk[start + 5 : end], kind, head, now)
                    if head.kind is RequestKind.EXECUTE:
                        self._last_answer(head)
                elif act == READY:
                    self._ready(step, chunk[start + 5 : end], head, now)
        except RemoteProtocolError as malformed:
            step.fault = _server_fault(f"it sent what the protocol does not allow ({malformed})")
            if start > kept:
                step.data.append(chunk[kept:start])
        return kept

    def _end(self, exchange: LoneExchange, answer: WholeAnswer, step: ServerStep, chunk: bytes, now: int) -> None:
        """All of the exchange was answered at once."""
        state, run = self._state, exchange.run
        run.rows, run.size, command, status = answer
        state.budget.count(run.rows, run.size)
        step.events.append(state.recorder.outcome(run, now, "completed", command=command))
        state.transaction_status, state.finished_at = status, now
        state.queue.end(exchange)
        state.prepared_statements.confirm_exchange(exchange, transaction_over=status == "I")
        step.data.append(chunk)

    # --- what an answer changes, on both ways -------------------------------------------------------------

    def _counted(self, head: InFlight, kind: int, start: int, rows: int, size: int, now: int) -> bool:
        """Count the data before a message. False: nothing is counted, for the data has to be checked."""
        run, budget = head.current, self._state.budget
        if run is None or head.kind not in RETURNS_ROWS:
            return False
        counted = start - max(start - size, self._stream.lead)
        if counted and not kind:
            counted += self._stream.missing
        if not run.own:
            room = budget.room(run.rows, run.size)
            if room is not None and (rows > room[0] or counted > room[1]):
                return False
            budget.count(rows, counted)
        if rows and not run.rows:
            run.first_row = now
        run.rows += rows
        run.size += counted
        return True

    def _last_answer(self, head: InFlight) -> None:
        state = self._state
        head.move(_LAST_ANSWER)
        if head.changes:
            state.prepared_statements.confirm(head.changes)
        state.queue.pop()

    def _finished(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: int) -> bytes | None:
        """A statement has ended. A rule of the database may answer one with more than one tag: it has one run."""
        state, run = self._state, head.current
        state.copy_in.stop()
        state.finished_at = now
        if run is None:
            return None
        command = decode_command_complete(body) if kind == 0x43 else None
        head.at += 1
        if run.changes:
            state.prepared_statements.confirm(run.changes)
        if head.state is _CUT:
            head.move(_COMPLETED)
            return self._cut_too_late(step, head, run, now)
        ended: Ended = "suspended" if kind == 0x73 else "completed"
        step.events.append(state.recorder.outcome(run, now, ended, command=command))
        return None

    def _ready(self, step: ServerStep, body: bytes, head: InFlight, now: int) -> None:
        state = self._state
        state.transaction_status, state.finished_at = decode_ready(body), now
        if state.transaction_status == "I":
            state.prepared_statements.transaction_over()
        if head.at < len(head.runs):
            called = head.kind is RequestKind.FUNCTION_CALL
            step.events.extend(state.recorder.finish(head, now, "completed" if called else "skipped"))
        self._last_answer(head)

    # --- any message, checked -----------------------------------------------------------------------------

    def _checked(self, step: ServerStep, chunk: bytes, control: ControlMessage, kept: int, now: int) -> int:
        """As `_read`, for one message."""
        kind, start, end, rows, size = control
        good, replaced = start - size, None
        if size:
            passed = self._count(step, control, chunk, now)
            if self._captures and passed:
                self._capture(chunk[good : good + passed], rows)
            if passed < size:
                step.data.append(chunk[kept : good + passed])
                kept = start
        try:
            if step.fault is None:
                good = start
                replaced = self._control(step, chunk[start:end], kind, now)
        except RemoteProtocolError as malformed:
            step.fault = _server_fault(f"it sent what the protocol does not allow ({malformed})")
        if step.fault is not None:
            if good > kept:
                step.data.append(chunk[kept:good])
        elif replaced is not None:
            step.data += [chunk[kept:start], replaced]
            kept = end
        return kept

    def _control(self, step: ServerStep, raw: bytes, kind: int, now: int) -> bytes | None:
        """The bytes to send instead of the message; None to send it as it is."""
        if self._state.stream is not _DISCARDING:
            return self._answer(step, raw, kind, now)
        replaced = self._answer(step, raw, kind, now)
        if kind == 0x5A:
            self._state.move_stream(StreamEvent.READY)
        passes = kind in ASYNCHRONOUS or kind in b"\0Z" or self._state.last_words is not None
        return replaced if passes else b""

    def _answer(self, step: ServerStep, raw: bytes, kind: int, now: int) -> bytes | None:
        head = self._state.queue.head
        if not kind or kind in ASYNCHRONOUS:
            if kind == 0x53:  # ParameterStatus
                self.errors.watch(step, raw[5:])
            return self._notice(step, len(raw), head) if kind == 0x4E else None
        if kind == 0x45:  # ErrorResponse
            return self.errors.answer(step, raw, head, now)
        if head is None or kind not in RESPONSES[head.kind]:
            step.fault = _server_fault(f"it sent a message of type {chr(kind)!a} that nothing asked for")
            return None
        if head.state is _REFUSED:
            # INVARIANT: the server rejects a refused request. Any other answer is a hole, and ends the session.
            step.fault = _server_fault("it accepted a message that it had to reject")
            return None
        return self._answered(step, raw[5:], kind, head, now)

    def _count(self, step: ServerStep, control: ControlMessage, chunk: bytes, now: int) -> int:
        """How many bytes of the data before `control` are passed on: all of them, or those within the limits.

        A message counts with its whole length when it begins, for its rest cannot be left out later.
        """
        kind, end, _, rows, size = control
        start = end - size
        head = self._state.queue.head
        if rows and (head is None or head.rejection is not None or head.kind not in RETURNS_ROWS):
            step.fault = _server_fault("it sent rows that nothing asked for")
            return size
        run = None if head is None else head.current
        discarding = self._state.stream is _DISCARDING
        if head is None or run is None:
            return 0 if discarding else size
        if discarding or head.state is _CUT:
            return 0
        if self._counted(head, kind, end, rows, size, now):
            return size
        return self._count_some(step, head, run, control, chunk, now) - start

    def _count_some(
        self, step: ServerStep, head: InFlight, run: Run, control: ControlMessage, chunk: bytes, now: int
    ) -> int:
        """The data goes beyond a limit: count what fits, and return where it ends."""
        _, end, _, rows, size = control
        budget, first = self._state.budget, max(end - size, self._stream.lead)
        room = budget.room(run.rows, run.size)
        assert room is not None
        rows, at = fitting_messages(chunk, first, end, *room)
        if at < end:
            self._cut(step, head)
        if rows and not run.rows:
            run.first_row = now
        run.rows += rows
        run.size += at - first
        budget.count(rows, at - first)
        return min(at, end)

    def _capture(self, data: bytes, rows: int) -> None:
        """Data that the client receives, under `record: results`."""
        head = self._state.queue.head
        run = None if head is None else head.current
        if run is None or run.capture is None or run.own:
            return
        if run.prepared is not None:
            run.capture.columns, run.capture.formats = run.prepared.types.columns, run.formats
        run.capture.add(data, rows)

    def _note_columns(self, head: InFlight, body: bytes) -> None:
        if head.describes is not None:
            head.describes.types.columns = body
        elif head.current is not None and head.current.capture is not None:
            head.current.capture.columns = body

    def _cut(self, step: ServerStep, head: InFlight) -> None:
        """The result of `head` is over a limit: nothing more of it is passed on, and the server is to stop it."""
        step.cancel = True
        if head.state is _SENT:
            head.move(RequestEvent.OVER_LIMIT)

    def _notice(self, step: ServerStep, size: int, head: InFlight | None) -> bytes | None:
        """A notice counts as bytes of its execution, for a function may put data in it. Over a limit it is left out.

        A notice of planning, at a Parse or Bind, belongs to no execution and counts for the window alone.
        """
        budget = self._state.budget
        if head is None or not budget.limits_results:
            return None
        if self._state.stream is _DISCARDING or head.state in (_CUT, _REFUSED):
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

    def _answered(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: int) -> bytes | None:
        state = self._state
        if kind == 0x5A:
            self._ready(step, body, head, now)
            return None
        if kind == 0x54 and self._captures:  # RowDescription
            self._note_columns(head, body)
        replaced = b"" if head.state is _CUT and kind == 0x63 else None  # CopyDone: an error comes in its place
        if kind == 0x47 and not state.copy_in.begin(head):  # CopyInResponse
            step.fault = _server_fault("it asked for data that nobody offered")
            return None
        if kind == 0x74 and head.describes is not None:  # ParameterDescription
            head.describes.types.note(decode_parameter_description(body))
        if kind in _FINISHES and head.kind in _RUNNING:
            replaced = self._finished(step, body, kind, head, now)
        if kind in FINAL_RESPONSES[head.kind]:
            self._last_answer(head)
        return replaced

    def _cut_too_late(self, step: ServerStep, head: InFlight, run: Run, now: int) -> bytes:
        """The server completed the statement before the cancel: the client reads an error, and nothing more of it."""
        state = self._state
        error = state.budget.exceeded(run.rows, run.size, stopped=False)
        step.events.append(state.recorder.outcome(run, now, "limited", error.fields()))
        state.move_stream(StreamEvent.ERROR_OF_OURS)
        if head.kind is RequestKind.EXECUTE and not state.queue.has_sync:
            state.move_input(InputEvent.ERROR)
        return error_response(error.fields())


def _server_fault(what: str) -> PgjitError:
    return ProtocolFault(
        "terminating connection: the database server broke the protocol", detail=f"This cannot go on: {what}."
    )
