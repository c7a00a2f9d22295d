"""What was sent to the server and is not answered: in which order, in which segment, and what it does to the names.

Decides what is held back because the server would pass over it, and what has to wait. It judges nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pgjit.audit.event import Event, SessionContext
from pgjit.errors import PgjitError
from pgjit.proxy.relay.copy_in import CopyIn
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight, Planned, Run
from pgjit.proxy.relay.prepared_statements import Change, PreparedStatements, Space, Unit
from pgjit.proxy.relay.recorder import Recorder
from pgjit.proxy.relay.rejection import Refusal
from pgjit.proxy.relay.withdrawal import withdrawn
from pgwire.messages import extended
from pgwire.state import RequestKind

__all__ = ["SendQueue"]

_ENDS_SEGMENT = (RequestKind.SYNC, RequestKind.QUERY, RequestKind.FUNCTION_CALL)


class SendQueue:
    """One session's state between its client and its server."""

    def __init__(
        self,
        context: SessionContext,
        *,
        ends_at: datetime,
        new_id: Callable[[], str],
        new_token: Callable[[], bytes],
        encoding: str = "UTF8",
    ) -> None:
        self.context = context
        self.recorder = Recorder(context, new_id)
        self.names = PreparedStatements(encoding)
        self.copy_in = CopyIn()
        self.queue: deque[InFlight] = deque()
        self.queued = 0  # bytes of the messages in it
        # What the client sends now is passed over by the server up to the next Sync: an error was seen, or
        # a refusal is on its way that is certain to become one.
        self.skipping = False
        self.status = "I"
        self._segment = 0
        self._awaited: Unit | None = None  # what has to be answered before the next frame can be dealt with
        self._alone: InFlight | None = None  # its result may be cut: nothing is sent behind it before it is answered
        self._ends_at = ends_at
        self._new_token = new_token

    @property
    def idle(self) -> bool:
        """Nothing is running and no transaction is open."""
        return not self.queue and self.status == "I"

    @property
    def single(self) -> bool:
        """At most one unit of work is with the server: when it is cancelled, nothing is left to run."""
        return sum(pending.asked in (RequestKind.QUERY, RequestKind.SYNC) for pending in self.queue) <= 1

    @property
    def holds(self) -> bool:
        """What was sent last has to be answered before anything is sent behind it."""
        return self.copy_in.waits or (
            self._alone is not None and not self._alone.answered and not self.copy_in.active
        )

    @property
    def waits(self) -> bool:
        """What the client sent next cannot be dealt with before the server has answered."""
        return self.holds or (self._awaited is not None and not self._awaited.answered)

    def pending(
        self,
        asked: RequestKind,
        *,
        runs: Sequence[Run] = (),
        changes: tuple[Change, ...] = (),
        refusal: Refusal | None = None,
        unread: bool = False,
    ) -> InFlight:
        return InFlight(asked, list(runs), self._segment, changes=changes, refusal=refusal, unread=unread)

    def expect(self, changes: Iterable[Change], by: InFlight) -> None:
        if not self.skipping:
            self.names.expect(changes, by)

    def unsettled(self, space: Space, name: bytes) -> bool:
        """INVARIANT: what is executed is recorded as what it is: a name that may yet stand for another waits."""
        self._awaited = self.names.unsettled(space, name, self._segment)
        return self._awaited is not None

    def send(self, plan: ClientPlan, data: bytes, pending: InFlight, *, executes: bool = False) -> None:
        if self.skipping:
            # The server would pass over it: it is not sent, and no answer will come.
            pending.answered = True
            plan.events.extend(self.recorder.rest(pending, self._moment(pending), "skipped"))
            return
        plan.items.append(Planned(data, pending, executes))
        pending.size = len(data)
        self.queued += pending.size
        self.queue.append(pending)
        if pending.asked in _ENDS_SEGMENT:
            self._segment += 1

    def pop(self) -> InFlight:
        """The first of what was sent: it is answered, or will not be."""
        first = self.queue.popleft()
        self.queued -= first.size
        return first

    def _moment(self, pending: InFlight) -> datetime:
        return pending.runs[0].started if pending.runs else self._ends_at

    def withdraw(self, plan: ClientPlan) -> bytes:
        """The journal could not take the plan's records: the bytes to send in place of the plan's."""
        data = withdrawn(plan, self.refusal)
        self.names.fall_back(change for pending in self.queue for change in pending.all_changes())
        return data

    def late_sync(self) -> bytes:
        """A Sync that was ignored during a COPY that the server had given up before it: it is sent after all."""
        self.skipping = False
        self.queue.append(self.pending(RequestKind.SYNC))
        self._segment += 1
        return extended.sync()

    def cut(self, now: datetime) -> list[Event]:
        """The session is over: outcomes for everything that was not answered."""
        events: list[Event] = []
        while self.queue:
            events.extend(self.recorder.rest(self.pop(), now, "cut"))
        self.names.clear()
        return events

    def refusal(self, error: PgjitError) -> Refusal:
        return Refusal(self._new_token(), error)
