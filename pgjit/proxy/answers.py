"""What the server answered, pure: to which request, with what outcome, in which words to the client.

The second half of the relay. Decides nothing about what may run; ends the session when the server says
something that the protocol has no place for, or reports a setting that must not change.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime

from pgjit.audit.event import Event
from pgjit.errors import PgjitError, ProtocolFault, ServerSaid, ServerUnavailable
from pgjit.proxy.names import Portal, Prepared
from pgjit.proxy.pending import Pending
from pgjit.proxy.recorder import Ended
from pgjit.proxy.relay import Relay
from pgwire.errors import RemoteProtocolError
from pgwire.framing import BrokenStream, Control, StreamReader
from pgwire.messages.query import (
    decode_command_complete,
    decode_error,
    decode_parameter_status,
    decode_ready,
    error_response,
)
from pgwire.state import ANSWERS, ANYTIME, DATA, FINAL, Asked

__all__ = ["Answers", "ServerStep"]

MAX_CONTROL = 16 * 1024 * 1024
_FINISHES = frozenset(b"CIs")
_RUNNING = (Asked.QUERY, Asked.EXECUTE)


@dataclass(slots=True)
class ServerStep:
    """What a chunk from the server comes to."""

    data: list[bytes] = field(default_factory=list)  # for the client, in order
    events: list[Event] = field(default_factory=list)
    fault: PgjitError | None = None  # the session cannot go on
    reason: str = "server"  # why, for the journal
    to_server: bytes = b""  # what the server has yet to be sent


class Answers:
    """Reads the server's stream and keeps `relay`'s queue true."""

    def __init__(self, relay: Relay, tripwire: dict[str, str]) -> None:
        self._relay = relay
        self._tripwire = tripwire  # settings that must keep these values for the session to live
        self._stream = StreamReader(limit=MAX_CONTROL)
        self.ending = False  # pgjit is ending the session: the server's own farewell is not passed on
        self.farewell: PgjitError | None = None  # why it ends
        self.last_words: ServerSaid | None = None  # why the server ended it, as the client has read it
        self.broken = False  # it cannot be followed any more: nothing that still comes means anything
        self.inside_message = False  # the client has a message in part: nothing else can be said to it now

    def from_server(self, data: bytes, now: datetime) -> ServerStep:
        step = ServerStep()
        if self.broken:
            return step
        self._read(step, data, now)
        self.broken = step.fault is not None
        # What goes on before a fault ends with a message.
        self.inside_message = not self.broken and self._stream.inside_message
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
                    self._count(step, control)
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

    def _control(self, step: ServerStep, chunk: bytes, control: Control, now: datetime) -> bytes | None:
        """The bytes to send instead of the message; None to send it as it is."""
        kind = control.kind
        head = self._relay.queue[0] if self._relay.queue else None
        if not kind or kind in ANYTIME:
            if kind == 0x53:  # ParameterStatus
                self._watch(step, chunk[control.start + 5 : control.end])
            return None
        if kind == 0x45:  # ErrorResponse
            return self._error(step, chunk[control.start : control.end], head, now)
        if head is None or kind not in ANSWERS[head.asked]:
            step.fault = _server_fault(f"it sent a message of type {chr(kind)!a} that nothing asked for")
            return None
        if head.refusal is not None and not head.rejected:
            # INVARIANT: what was refused is rejected by the server; anything else is a hole, and ends here.
            step.fault = _server_fault("it accepted a message that it had to reject")
            return None
        self._answered(step, chunk[control.start + 5 : control.end], kind, head, now)
        return None

    def _count(self, step: ServerStep, control: Control) -> None:
        head = self._relay.queue[0] if self._relay.queue else None
        if control.rows and (head is None or head.refusal is not None or head.asked not in DATA):
            step.fault = _server_fault("it sent rows that nothing asked for")
        elif head is not None and head.current is not None:
            head.current.rows += control.rows
            head.current.size += control.size

    def _answered(self, step: ServerStep, body: bytes, kind: int, head: Pending, now: datetime) -> None:
        relay = self._relay
        if kind == 0x47 and not relay.copy_in.begin(head):  # CopyInResponse
            step.fault = _server_fault("it asked for data that nobody offered")
            return
        if kind in _FINISHES and head.asked in _RUNNING:
            self._finished(step, body, kind, head, now)
        if kind == 0x5A:
            relay.status = decode_ready(body)
            called = head.asked is Asked.FUNCTION_CALL
            step.events.extend(relay.recorder.rest(head, now, "completed" if called else "skipped"))
        if kind in FINAL[head.asked]:
            head.answered = True
            relay.names.confirm(head.changes)
            relay.queue.popleft()

    def _finished(self, step: ServerStep, body: bytes, kind: int, head: Pending, now: datetime) -> None:
        self._relay.copy_in.stop()
        run = head.current
        if run is None:
            # A rule of the database may answer one statement with more than one tag: nothing to count it to.
            return
        command = decode_command_complete(body) if kind == 0x43 else None
        ended: Ended = "suspended" if kind == 0x73 else "completed"
        head.at += 1
        step.events.append(self._relay.recorder.outcome(run, now, ended, command=command))
        self._relay.names.confirm(run.changes)

    def _error(self, step: ServerStep, raw: bytes, head: Pending | None, now: datetime) -> bytes | None:
        fields = decode_error(raw[5:])
        severity = fields.get("V", fields.get("S", "ERROR"))
        if severity in ("FATAL", "PANIC"):
            if self.ending:
                return b""
            self.last_words = ServerSaid(fields.get("C", "XX000"), fields.get("M", "no message"))
        if head is None:
            return None
        relay = self._relay
        unseen = relay.copy_in.stop()
        head.rejected = True
        replaced: bytes | None
        if head.refusal is not None:
            # Any error rejects it: the server may have come upon another one first (a cancel, a timeout).
            ours = head.refusal.answers(raw)
            sqlstate = head.refusal.error.fields()["C"] if ours else fields.get("C")
            step.events.extend(relay.recorder.rest(head, now, "refused", sqlstate))
            replaced = head.refusal.response() if ours else self._cancelled(fields)
        else:
            if (run := head.current) is not None:
                head.at += 1
                step.events.append(relay.recorder.outcome(run, now, "failed", sqlstate=fields.get("C")))
            elif (brought := head.brings) is not None:
                self._never_ran(step, brought, now, fields.get("C"))
            step.events.extend(relay.recorder.rest(head, now, "skipped"))
            replaced = self._cancelled(fields)
        self._after_error(step, head, now)
        step.to_server = b"".join([relay.late_sync() for _ in range(unseen)])
        return replaced

    def _never_ran(self, step: ServerStep, brought: Prepared | Portal, now: datetime, sqlstate: str | None) -> None:
        """The server rejected a Parse or a Bind: its execution failed, whether or not it was asked for already.

        What such an error says may come from the data: planning runs functions. So it is on record in any case.
        """
        relay = self._relay
        prepared, parameters = (
            (brought.prepared, brought.parameters) if isinstance(brought, Portal) else (brought, None)
        )
        for pending in itertools.takewhile(lambda pending: pending.asked is not Asked.SYNC, relay.queue):
            if (run := pending.current) is not None and run.prepared is prepared:
                pending.at += 1
                step.events.append(relay.recorder.outcome(run, now, "failed", sqlstate=sqlstate))
                return
        kind = prepared.statement.kind if prepared.statement else None
        run = relay.recorder.execution(step.events, now, "extended", prepared.text, kind, parameters=parameters)
        step.events.append(relay.recorder.outcome(run, now, "failed", sqlstate=sqlstate))

    def _cancelled(self, fields: dict[str, str]) -> bytes | None:
        """The server's word that it cancelled a statement because we end the session: say why, here already.

        Many a client leaves at the first error and never reads the FATAL that follows.
        """
        if self.farewell is None or fields.get("C") != "57014":
            return None
        why = {code: text for code, text in self.farewell.fields().items() if code in "DHR"}
        message = self.farewell.message.replace("terminating connection", "canceling statement")
        return error_response({**fields, "M": message, **why})

    def _after_error(self, step: ServerStep, head: Pending, now: datetime) -> None:
        """An error in the extended protocol makes the server pass over everything up to the next Sync."""
        relay = self._relay
        if head.asked not in (Asked.QUERY, Asked.FUNCTION_CALL, Asked.SYNC):
            while relay.queue and relay.queue[0].asked is not Asked.SYNC:
                passed_over = relay.queue.popleft()
                passed_over.answered = True
                step.events.extend(relay.recorder.rest(passed_over, now, "skipped"))
            relay.skipping = relay.skipping or not relay.queue
        elif head.asked is Asked.QUERY:
            relay.names.confirm(head.changes)
            head.changes = ()
        relay.names.fall_back(change for pending in relay.queue for change in pending.all_changes())

    def _watch(self, step: ServerStep, body: bytes) -> None:
        name, value = decode_parameter_status(body)
        wanted = self._tripwire.get(name)
        if wanted is not None and value != wanted:
            step.reason = "tripwire"
            step.fault = ServerUnavailable(
                f"terminating connection: setting `{name}` changed",
                reference="tripwire",
                detail=f"It was `{wanted}` and is now `{value}`: what is judged may no longer be what runs.",
                hint="Connect again, and leave this setting as it is.",
            )


def _server_fault(what: str) -> PgjitError:
    return ProtocolFault(
        "terminating connection: the database server broke the protocol", detail=f"This cannot go on: {what}."
    )
