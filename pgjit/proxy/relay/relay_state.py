"""Where a session stands between its client and its server: the one object that both sides of the relay share. Pure.

Decides which messages are not sent because the server would pass over them, and which ones wait. Each state is
an enum, and moves by the tables of `transitions.py`. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from pgjit.audit.event import Event, SessionContext
from pgjit.errors import PgjitError, ServerEndedSession
from pgjit.grants.usage import Usage
from pgjit.policy.policy import NO_LIMITS
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_plan import ClientPlan, Planned
from pgjit.proxy.relay.copy_in import CopyIn
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.named_values import Change, Space
from pgjit.proxy.relay.notices import Notices
from pgjit.proxy.relay.prepared_statements import PreparedStatements, Unit
from pgjit.proxy.relay.recorder import Recorder
from pgjit.proxy.relay.rejection import Rejection
from pgjit.proxy.relay.send_queue import SendQueue
from pgjit.proxy.relay.transitions import (
    END,
    INPUT,
    STREAM,
    EndEvent,
    EndState,
    InFlightState,
    InputEvent,
    InputState,
    RequestEvent,
    StreamEvent,
    StreamState,
)
from pgjit.proxy.relay.withdrawal import withdrawn
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["RelayState"]

_SKIPPED = InputState.SKIPPED
_DONE = InFlightState.DONE


class RelayState:
    def __init__(
        self,
        context: SessionContext,
        *,
        ends_at: datetime,
        new_token: Callable[[], bytes],
        budget: Budget | None = None,
        encoding: str = "UTF8",
        unrestricted: bool = False,
    ) -> None:
        """`encoding`: the server's. `unrestricted`: the policy's access is full, so nothing is refused by a rule."""
        self.context = context
        self.ends_at = ends_at
        self.unrestricted = unrestricted
        self.budget = budget or Budget(NO_LIMITS, Usage())
        self.recorder = Recorder(context)
        self.prepared_statements = PreparedStatements(encoding)
        self.copy_in = CopyIn()
        self.notices = Notices()
        self.queue = SendQueue()
        self.input = InputState.FORWARDED
        self.stream = StreamState.FOLLOWING
        self.end = EndState.OPEN
        self.end_error: PgjitError | None = None  # why pgjit ends the session, for the client
        self.last_words: ServerEndedSession | None = None  # why the server ended it, as the client has read it
        self.transaction_status = "I"  # as in ReadyForQuery
        self.finished_at: int | None = None  # when the server last finished with something, in nanoseconds
        self.same_reading = True  # the server reads texts as pgjit does
        self.rules_since = 0  # judges of lower numbers judged by an earlier version of the policy
        self._new_token = new_token
        self._awaited: Unit | None = None  # it may change the name that the client's next message uses
        self._alone: InFlight | None = None  # its result may be cut: nothing is sent behind it before it is answered

    # --- the present state ------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is running and no transaction is open."""
        return self.queue.empty and self.transaction_status == "I"

    @property
    def holds(self) -> bool:
        """The latest request has to be answered before anything is sent behind it."""
        alone, copy_in = self._alone, self.copy_in
        return copy_in.waits or (alone is not None and alone.state is not _DONE and not copy_in.active)

    @property
    def waits(self) -> bool:
        """The client's next message cannot be dealt with before the server has answered."""
        return self.holds or (self._awaited is not None and not self._awaited.answered)

    @property
    def ending(self) -> bool:
        """pgjit is ending the session."""
        return self.end in (EndState.ENDING, EndState.STOPPED)

    @property
    def desynchronised(self) -> bool:
        """Nothing that the server still sends means anything."""
        return self.stream is StreamState.DESYNCHRONISED

    # --- what happens ----------------------------------------------------------------------------------

    def move_input(self, event: InputEvent) -> None:
        self.input = INPUT[self.input][event]

    def move_stream(self, event: StreamEvent) -> None:
        self.stream = STREAM[self.stream][event]

    def move_end(self, event: EndEvent) -> None:
        self.end = END[self.end][event]

    def begin_ending(self, error: PgjitError | None) -> None:
        """pgjit ends the session. `error`: for the client; None where the client is gone."""
        self.move_end(EndEvent.BEGIN)
        self.end_error = error

    def read_differently(self) -> None:
        """Under `access: full`: from now on the server may read texts and names in another way than pgjit."""
        self.same_reading = False
        self.prepared_statements.encoding = ""  # so no name but an ASCII one is certain

    # --- requests --------------------------------------------------------------------------------------

    def request(self, kind: RequestKind, changes: tuple[Change, ...] = (), *, unread: bool = False) -> InFlight:
        return InFlight(kind, segment=self.queue.segment, changes=changes, unread=unread)

    def expect(self, changes: Iterable[Change], by: InFlight) -> None:
        if self.input is not _SKIPPED:
            self.prepared_statements.expect(changes, by)

    def unsettled(self, space: Space, name: bytes) -> bool:
        """INVARIANT: the record has the statement that runs. So the use of a name waits for a change under way."""
        self._awaited = self.prepared_statements.unsettled(space, name, self.queue.segment)
        return self._awaited is not None

    def send(self, plan: ClientPlan, data: bytes, request: InFlight, *, executes: bool = False) -> None:
        if self.input is _SKIPPED:
            # The server would pass over it: it is not sent, and no answer will come.
            request.move(RequestEvent.PASSED_OVER)
            if request.runs:
                plan.events.extend(self.recorder.finish(request, request.runs[0].started, "skipped"))
            return
        plan.items.append(Planned(data, request, executes))
        self.queue.append(request, len(data))

    def send_alone(self, request: InFlight) -> None:
        """Nothing is sent behind `request` before it is answered."""
        self._alone = request

    def withdraw(self, plan: ClientPlan) -> bytes:
        """The journal could not take the plan's records: the bytes to send in place of the plan's."""
        self.queue.unfold()
        data = withdrawn(plan, self.new_rejection)
        self.fall_back()
        return data

    def fall_back(self) -> None:
        """Something failed: only the requests in the queue may still change a name."""
        self.prepared_statements.fall_back(
            change for request in self.queue.requests for change in request.all_changes()
        )

    def late_sync(self) -> bytes:
        """A Sync that was ignored during a COPY that the server had given up before it: it is sent after all."""
        self.move_input(InputEvent.SYNC)
        self.queue.append(self.request(RequestKind.SYNC), 0)
        return extended.sync()

    def cut(self, now: int) -> list[Event]:
        """The session is over: outcomes for everything that was not answered."""
        events: list[Event] = []
        while self.queue.requests:
            events.extend(self.recorder.finish(self.queue.pop(), now, "cut"))
        self.prepared_statements.clear()
        return events

    def new_rejection(self, error: PgjitError) -> Rejection:
        return Rejection(self._new_token(), error)
