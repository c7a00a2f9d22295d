"""The records of one session, on their way to the journal.

INVARIANT: no byte of an execution is sent before its record is in the journal: `before` sends it from a callback of
the write. Outcomes (`after`) go with the next write, at the latest after some milliseconds, and before all that the
session records later. All sessions share a write. What has happened and cannot be written now is kept, and written
first later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pgjit.audit.event import Event
from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.record_waits import flushed, settled

__all__ = ["SessionRecords"]

_MOST_UNWRITTEN = 10_000


class SessionRecords:
    def __init__(
        self,
        journal: Journal,
        rate: RateLimit[IdentityKey],
        identity: IdentityKey,
        *,
        synced: bool,
        overflow: Callable[[], None],
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """`synced`: `before` waits for the disk. `overflow` is called when too much could not be written.

        `ready`: whether what belongs to the records can be kept. If not, nothing is recorded before it happens.
        """
        self._journal = journal
        self._rate = rate
        self._identity = identity
        self._synced = synced
        self._overflow = overflow
        self._ready = ready
        self._unwritten: list[Event] = []
        self._flushing: set[asyncio.Task[None]] = set()

    def before(self, events: Sequence[Event], then: Callable[[bool], None]) -> None:
        """Record what is about to happen, and call `then` with whether that succeeded. Calls keep their order."""
        if not self._ready():
            then(False)
            return
        earlier, self._unwritten = self._unwritten, []

        def done(size: int | None) -> None:
            if size is None:
                self._keep(earlier)
                then(False)
                return
            self._rate.use(self._identity, size)
            if self._synced:
                task = asyncio.get_running_loop().create_task(flushed(self._journal, then))
                self._flushing.add(task)
                task.add_done_callback(self._flushing.discard)
            else:
                then(True)

        self._journal.enqueue([*earlier, *events] if earlier else events, done)

    def after(self, events: Sequence[Event]) -> None:
        """Record what has happened."""
        earlier, self._unwritten = self._unwritten, []
        events = [*earlier, *events] if earlier else events

        def done(size: int | None) -> None:
            if size is None:
                self._keep(events)
            else:
                self._rate.use(self._identity, size)

        self._journal.enqueue(events, done, soon=False)

    def write(self, events: Sequence[Event] = ()) -> None:
        """The same at once, behind all that waits."""
        self._journal.write_enqueued()
        events = [*self._unwritten, *events]
        self._unwritten = []
        try:
            self._rate.use(self._identity, self._journal.append(events))
        except JournalUnavailable:
            self._keep(events)

    @property
    def unsettled(self) -> bool:
        """The journal could not take every record."""
        return bool(self._unwritten)

    def settle(self) -> Coroutine[Any, Any, None]:
        """At the end: try again to write the records that are left. Raises JournalUnavailable."""
        return settled(lambda: self.unsettled, self.write)

    def close(self) -> None:
        """The session is over, and the callback need not be held."""
        self._overflow, self._ready = lambda: None, lambda: True

    def _keep(self, events: Sequence[Event]) -> None:
        self._unwritten.extend(events)
        if len(self._unwritten) > _MOST_UNWRITTEN:
            self._overflow()
