"""What the server answered, pure: to which request, with what outcome, in which words to the client.

The second half of the relay. Decides nothing about what may run; ends the session when the server says
something that the protocol has no place for, or reports a setting that must not change.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime

from pgjit.audit.event import Event
from pgjit.errors import BudgetSpent, PgjitError, ProtocolFault, ServerEndedSession, ServerUnavailable
from pgjit.policy.session_settings import UTF8
from pgjit.proxy.relay.client_side import ClientSide
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.prepared_statements import ExecutedStatement, Portal, Prepared
from pgjit.proxy.relay.reading_settings import reads_otherwise
from pgjit.proxy.relay.recorder import Ended
from pgjit.proxy.window.end_errors import WorkOutcome, with_work_outcome
from pgwire.errors import RemoteProtocolError
from pgwire.framing import BrokenStream, ControlMessage, StreamReader, fitting
from pgwire.messages.query import (
    decode_command_complete,
    decode_error,
    decode_parameter_status,
    decode_ready,
    error_response,
)
from pgwire.state import ASYNCHRONOUS, FINAL_RESPONSES, RESPONSES, RETURNS_ROWS, RequestKind

__all__ = ["ServerSide", "ServerStep"]

MAX_CONTROL = 16 * 1024 * 1024
_MOST_TOLD = 1000
"""Characters of a field of an error, where the policy limits what a result may give."""
_QUOTING = ("21", "22", "23", "44")
"""Classes of errors whose DETAIL may quote data: of constraints, of what should have been one row, of values."""
_FINISHES = frozenset(b"CIs")
_RUNNING = (RequestKind.QUERY, RequestKind.EXECUTE)


@dataclass(slots=True)
class ServerStep:
    """What a chunk from the server comes to."""

    data: list[bytes] = field(default_factory=list)  # for the client, in order
    events: list[Event] = field(default_factory=list)
    fault: PgjitError | None = None  # the session cannot go on
    reason: str = "server"  # why, for the journal
    to_server: bytes = b""  # what the server has yet to be sent
    cancel: bool = False  # what runs is over a limit: it is to be cancelled at the server


class ServerSide:
    """Reads the server's stream and keeps `relay`'s queue true."""

    def __init__(self, relay: ClientSide, tripwire: dict[str, str]) -> None:
        self._relay = relay
        self._tripwire = tripwire  # settings that must keep these values for the session to live
        # Where notices count they are held until they are whole: one that is begun could not be left out.
        opaque = b"VA" if relay.budget.limits_results else b"VNA"
        self._stream = StreamReader(opaque=opaque, limit=MAX_CONTROL)
        self.ending = False  # pgjit is ending the session: the server's own farewell is not passed on
        self.farewell: PgjitError | None = None  # why it ends
        self.last_words: ServerEndedSession | None = None  # why the server ended it, as the client has read it
        self.stopped = False  # since then the server has said of what was running that it did not come to its end
        self._muted = False  # an error of ours ended a unit that the server goes on with: its answers are for nobody
        self.broken = False  # it cannot be followed any more: nothing that still comes means anything
        self.inside_message = False  # the client has a message in part: nothing else can be said to it now
        self.since: datetime | None = None  # when the server last finished with something

    def from_server(self, data: bytes, now: datetime) -> ServerStep:
        step = ServerStep()
        if self.broken:
            return step
        self._read(step, data, now)
        self.broken = step.fault is not None
        # What goes on before a fault ends with a message.
        head = self._relay.queue[0] if self._relay.queue else None
        silent = self._muted or (head is not None and head.over)
        self.inside_message = not self.broken and self._stream.inside_message and not silent
        return step

    def _read(self, step: ServerStep, data: bytes, now: datetime) -> None:
        fault: BrokenStream | None = None
        try:
            chunk, controls = self._stream.feed(data)
        except BrokenStream as broken:
            chunk, controls, fault = broken.chunk, broken.controls, broken
        kept = 0
        for control in controls:
            good = control.start - control.size
            try:
                replaced = None
                if control.size:
                    passed = self._count(step, control, chunk)
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
        if fault is not None:
            step.fault = _server_fault(f"it sent what the protocol does not allow ({fault})")

    def _control(self, step: ServerStep, chunk: bytes, control: ControlMessage, now: datetime) -> bytes | None:
        """The bytes to send instead of the message; None to send it as it is."""
        if not self._muted:
            return self._answer(step, chunk, control, now)
        replaced = self._answer(step, chunk, control, now)
        if control.kind == 0x5A:
            self._muted = False
        told = control.kind in ASYNCHRONOUS or control.kind in b"\0Z" or self.last_words is not None
        return replaced if told else b""

    def _answer(self, step: ServerStep, chunk: bytes, control: ControlMessage, now: datetime) -> bytes | None:
        kind = control.kind
        head = self._relay.queue[0] if self._relay.queue else None
        if not kind or kind in ASYNCHRONOUS:
            if kind == 0x53:  # ParameterStatus
                self._watch(step, chunk[control.start + 5 : control.end])
            return self._notice(step, control.end - control.start, head) if kind == 0x4E else None
        if kind == 0x45:  # ErrorResponse
            return self._error(step, chunk[control.start : control.end], head, now)
        if head is None or kind not in RESPONSES[head.asked]:
            step.fault = _server_fault(f"it sent a message of type {chr(kind)!a} that nothing asked for")
            return None
        if head.refusal is not None and not head.rejected:
            # INVARIANT: what was refused is rejected by the server; anything else is a hole, and ends here.
            step.fault = _server_fault("it accepted a message that it had to reject")
            return None
        return self._answered(step, chunk[control.start + 5 : control.end], kind, head, now)

    def _count(self, step: ServerStep, control: ControlMessage, chunk: bytes) -> int:
        """How many bytes of the data before `control` go on: all of them, or those within the limits.

        A message counts with its whole length when it begins: its rest cannot be left out any more.
        """
        head = self._relay.queue[0] if self._relay.queue else None
        if control.rows and (head is None or head.refusal is not None or head.asked not in RETURNS_ROWS):
            step.fault = _server_fault("it sent rows that nothing asked for")
            return control.size
        run = None if head is None else head.current
        if head is None or run is None:
            return 0 if self._muted else control.size
        if self._muted or head.over:
            return 0
        start = control.start - control.size
        first, end = max(start, self._stream.lead), control.start
        if first < end and not control.kind:
            end += self._stream.missing
        rows = control.rows
        room = self._relay.budget.room(run.rows, run.size)
        if room is not None and (rows > room[0] or end - first > room[1]):
            rows, end = fitting(chunk, first, control.start, *room)
            head.over = step.cancel = end < control.start
        run.rows += rows
        run.size += end - first
        self._relay.budget.count(rows, end - first)
        return min(end, control.start) - start

    def _notice(self, step: ServerStep, size: int, head: InFlight | None) -> bytes | None:
        """It counts as bytes of what runs: functions may say anything by it. Over a limit it is left out.

        Of what runs without being an execution (planning at a Parse or Bind), the window alone is counted.
        """
        budget = self._relay.budget
        if head is None or not budget.limits_results:
            return None
        if self._muted or head.over:
            return b""
        run = head.current
        room = budget.room(run.rows, run.size) if run is not None else budget.room(0, 0)
        if room is not None and size > room[1]:
            head.over = step.cancel = run is not None
            return b""
        if run is not None:
            run.size += size
        budget.count(0, size)
        return None

    def _answered(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: datetime) -> bytes | None:
        relay = self._relay
        replaced = b"" if head.over and kind == 0x63 else None  # CopyDone: an error comes in its place
        if kind == 0x47 and not relay.copy_in.begin(head):  # CopyInResponse
            step.fault = _server_fault("it asked for data that nobody offered")
            return None
        if kind in _FINISHES and head.asked in _RUNNING:
            replaced = self._finished(step, body, kind, head, now)
        if kind == 0x5A:
            relay.status, self.since = decode_ready(body), now
            if relay.status == "I":
                relay.names.transaction_over()
            called = head.asked is RequestKind.FUNCTION_CALL
            step.events.extend(relay.recorder.rest(head, now, "completed" if called else "skipped"))
        if kind in FINAL_RESPONSES[head.asked]:
            head.answered = True
            relay.names.confirm(head.changes)
            relay.pop()
        return replaced

    def _finished(self, step: ServerStep, body: bytes, kind: int, head: InFlight, now: datetime) -> bytes | None:
        self._relay.copy_in.stop()
        self.since = now
        run = head.current
        if run is None:
            # A rule of the database may answer one statement with more than one tag: nothing to count it to.
            return None
        command = decode_command_complete(body) if kind == 0x43 else None
        ended: Ended = "suspended" if kind == 0x73 else "completed"
        head.at += 1
        self._relay.names.confirm(run.changes)
        if head.over:
            return self._too_late(step, head, run, now)
        step.events.append(self._relay.recorder.outcome(run, now, ended, command=command))
        return None

    def _too_late(self, step: ServerStep, head: InFlight, run: Run, now: datetime) -> bytes:
        """The server completed what was to be cancelled: the client reads an error, and nothing more of this unit."""
        relay = self._relay
        error = relay.budget.passed(run.rows, run.size, stopped=False)
        step.events.append(relay.recorder.outcome(run, now, "limited", sqlstate=error.sqlstate))
        head.over = False
        self._muted = True
        if head.asked is RequestKind.EXECUTE and all(
            pending.asked is not RequestKind.SYNC for pending in relay.queue
        ):
            relay.skipping = True
        return error_response(error.fields())

    def _error(self, step: ServerStep, raw: bytes, head: InFlight | None, now: datetime) -> bytes | None:
        fields = decode_error(raw[5:])
        severity = fields.get("V", fields.get("S", "ERROR"))
        if severity in ("FATAL", "PANIC"):
            if self.ending:
                self.stopped = self.stopped or head is not None
                return b""
            self.last_words = ServerEndedSession(fields.get("C", "XX000"), fields.get("M", "no message"))
        if head is None:
            return None
        relay = self._relay
        unseen = relay.copy_in.stop()
        head.rejected, self.since = True, now
        replaced: bytes | None
        if head.refusal is not None:
            # Any error rejects it: the server may have come upon another one first (a cancel, a timeout).
            ours = head.refusal.answers(raw)
            sqlstate = head.refusal.error.fields()["C"] if ours else fields.get("C")
            step.events.extend(relay.recorder.rest(head, now, "refused", sqlstate))
            replaced = head.refusal.response() if ours else self._cancelled(fields)
        else:
            limited: BudgetSpent | None = None
            if (run := head.current) is not None:
                head.at += 1
                limited = self._limit(head, run, now, fields.get("C"))
                ended: Ended = "failed" if limited is None else "limited"
                sqlstate = fields.get("C") if limited is None else limited.sqlstate
                step.events.append(relay.recorder.outcome(run, now, ended, sqlstate=sqlstate))
            elif (brought := head.brings) is not None:
                self._never_ran(step, brought, now, fields.get("C"))
            step.events.extend(relay.recorder.rest(head, now, "skipped"))
            replaced = (
                error_response(limited.fields()) if limited else self._cancelled(fields) or self._discreet(fields)
            )
        self._after_error(step, head, now)
        step.to_server = b"".join([relay.late_sync() for _ in range(unseen)])
        return replaced

    def _discreet(self, fields: dict[str, str]) -> bytes | None:
        """The server's error without what a result would not be allowed to tell; None: it tells no such thing."""
        relay = self._relay
        told = dict(fields)
        if relay.hides_details and fields.get("C", "").startswith(_QUOTING):
            told.pop("D", None)  # it quotes the row, or the key
        if relay.budget.limits_results:
            told = {code: _shortened(text) for code, text in told.items()}
        return None if told == fields else error_response(told)

    def _limit(self, head: InFlight, run: Run, now: datetime, sqlstate: str | None) -> BudgetSpent | None:
        """The limit of the policy that the server's error comes from; None where it has reasons of its own."""
        budget = self._relay.budget
        if head.over:
            head.over = False
            return budget.passed(run.rows, run.size, stopped=True)
        return budget.overran(run.started, now) if sqlstate == "57014" and self.farewell is None else None

    def _never_ran(self, step: ServerStep, brought: Prepared | Portal, now: datetime, sqlstate: str | None) -> None:
        """The server rejected a Parse or a Bind: its execution failed, whether or not it was asked for already.

        What such an error says may come from the data: planning runs functions. So it is on record in any case.
        """
        relay = self._relay
        prepared, parameters = (
            (brought.prepared, brought.parameters) if isinstance(brought, Portal) else (brought, None)
        )
        for pending in itertools.takewhile(lambda pending: pending.asked is not RequestKind.SYNC, relay.queue):
            if (run := pending.current) is not None and run.prepared is prepared:
                pending.at += 1
                step.events.append(relay.recorder.outcome(run, now, "failed", sqlstate=sqlstate))
                return
        kind = prepared.statement.kind if prepared.statement else None
        running = ExecutedStatement(prepared.text, kind, prepared.statement, parameters)
        run = relay.recorder.execution(step.events, now, "extended", running)
        step.events.append(relay.recorder.outcome(run, now, "failed", sqlstate=sqlstate))

    def _cancelled(self, fields: dict[str, str]) -> bytes | None:
        """The server's word that it cancelled a statement because we end the session: say why, here already.

        Many a client leaves at the first error and never reads the FATAL that follows.
        """
        if self.farewell is None or fields.get("C") != "57014":
            return None
        self.stopped = True
        why = {
            code: text
            for code, text in with_work_outcome(self.farewell, WorkOutcome.CANCELLED).items()
            if code in "DHR"
        }
        message = self.farewell.message.replace("terminating connection", "canceling statement")
        return error_response({**fields, "M": message, **why})

    def _after_error(self, step: ServerStep, head: InFlight, now: datetime) -> None:
        """An error in the extended protocol makes the server pass over everything up to the next Sync."""
        relay = self._relay
        if head.asked not in (RequestKind.QUERY, RequestKind.FUNCTION_CALL, RequestKind.SYNC):
            while relay.queue and relay.queue[0].asked is not RequestKind.SYNC:
                passed_over = relay.pop()
                passed_over.answered = True
                step.events.extend(relay.recorder.rest(passed_over, now, "skipped"))
            relay.skipping = relay.skipping or not relay.queue
        elif head.asked is RequestKind.QUERY:
            relay.names.confirm(head.changes)
            head.changes = ()
        relay.names.fall_back(change for pending in relay.queue for change in pending.all_changes())

    def _watch(self, step: ServerStep, body: bytes) -> None:
        name, value = decode_parameter_status(body)
        if self._relay.unrestricted and reads_otherwise(name, value):
            self._relay.reads_otherwise()
        wanted = self._tripwire.get(name)
        if wanted is not None and value != wanted and not (name == "client_encoding" and value.lower() in UTF8):
            step.reason = "tripwire"
            step.fault = ServerUnavailable(
                f"terminating connection: setting `{name}` changed",
                reference="tripwire",
                detail=f"It was `{wanted}` and is now `{value}`: what is judged may no longer be what runs.",
                hint="Connect again, and leave this setting as it is.",
            )


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]}... (cut)"


def _server_fault(what: str) -> PgjitError:
    return ProtocolFault(
        "terminating connection: the database server broke the protocol", detail=f"This cannot go on: {what}."
    )
