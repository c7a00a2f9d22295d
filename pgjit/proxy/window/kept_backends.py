"""The backends of all sessions, kept in the store while they are there, and the end of those that were left behind.

A process that is killed, or stops before a backend was seen to end, leaves it in the store: the one that comes after
ends it, and no window is over before. Decides when the store is written: a little after a session began, so that no
login waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from pgjit.audit.event import BackendGone, BackendRemains, Event, Proof
from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable, PgjitError, ServerUnavailable
from pgjit.grants.kept_backend import BackendAddress, KeptBackend
from pgjit.grants.store import Store
from pgjit.grants.window import Window
from pgjit.proxy.window.backend_stop import BackendStop
from pgjit.server.dial import Address
from pgjit.server.servers import Backend, Servers
from pgjit.server.target import Host
from pgjit.telemetry import Telemetry

__all__ = ["KeptBackends"]

_log = logging.getLogger("pgjit.windows")
_AGAIN = 1.0


class KeptBackends:
    def __init__(self, store: Store, journal: Journal, clock: Clock, telemetry: Telemetry) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._telemetry = telemetry
        self._changes: dict[str, KeptBackend | None] = {}  # by session; None: it is over
        self._changed = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._left: dict[str, KeptBackend] = {}  # what an earlier process left behind
        self._windows: dict[str, Window] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._less = asyncio.Event()  # set whenever one of those is gone

    # --- sessions of this process ----------------------------------------------------------------------

    def begun(self, session_id: str, window: Window, backend: Backend) -> None:
        address = backend.upstream.address
        place = BackendAddress(
            connection=backend.upstream.target.name,
            host=address.host.name,
            port=address.host.port,
            family=int(address.family),
            sockaddr=address.sockaddr,
        )
        self._changes[session_id] = KeptBackend(
            session_id=session_id, window_id=window.id, address=place, process=backend.process
        )
        self._changed.set()

    def over(self, session_id: str) -> None:
        """Its backend was seen to be gone, or left of its own accord."""
        self._changes[session_id] = None
        self._changed.set()

    async def _keep_writing(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.write():
                await asyncio.sleep(_AGAIN)
                self._changed.set()

    async def write(self) -> bool:
        """Whether the store has all that has changed."""
        changes, self._changes = self._changes, {}
        if not changes:
            return True
        try:
            await self._store.note_backends(
                [kept for kept in changes.values() if kept is not None],
                [session_id for session_id, kept in changes.items() if kept is None],
            )
        except PgjitError as fault:
            self._changes = {**changes, **self._changes}
            _log.error("%d backends are not written down yet: %s", len(changes), fault.message)
            return False
        return True

    # --- what an earlier process left ------------------------------------------------------------------

    async def load(self) -> None:
        """Raises ServerUnavailable."""
        try:
            self._left = {kept.session_id: kept for kept in await self._store.backends()}
        except (KeyError, TypeError, ValueError) as fault:
            raise ServerUnavailable(
                "window store cannot be used",
                reference="store-unavailable",
                detail="What it says of a backend cannot be read.",
            ) from fault
        self._windows = await self._store.known({kept.window_id for kept in self._left.values()})
        self._writing = asyncio.create_task(self._keep_writing())

    def start(self, servers: Mapping[str, Servers]) -> None:
        """End them: nobody is on them any more."""
        for kept in self._left.values():
            self._ending[kept.session_id] = asyncio.create_task(self._end(kept, servers))

    def left(self, window_id: str) -> int:
        return sum(kept.window_id == window_id for kept in self._left.values())

    async def gone(self, window_id: str) -> None:
        """Return when none of them is left in this window."""
        while self.left(window_id):
            self._less.clear()
            await self._less.wait()

    async def _end(self, kept: KeptBackend, servers: Mapping[str, Servers]) -> None:
        _log.warning("backend %d of session %s was left behind: it is ended", kept.process.pid, kept.session_id)
        place = kept.address
        if place.connection not in servers:
            _log.critical("connection %s is configured no more: its backend cannot be ended", place.connection)
            return
        address = Address(Host(place.host, place.port), place.family, place.sockaddr)
        async with servers[place.connection].control_at(address) as control:
            stop = BackendStop(kept.process, control, self._clock)
            alerted = False

            def alert(stop: BackendStop) -> None:
                nonlocal alerted
                proof = stop.proof(gone=False)
                _log.critical("backend %d was not seen to end: %s", kept.process.pid, proof.error)
                if not alerted:
                    alerted = True
                    self._telemetry.remaining(+1)
                    self._record(kept, proof, BackendRemains)

            await stop.run(cancel=False, answered=lambda: True, alert=alert)
        proof = stop.proof(gone=True)
        while not self._record(kept, proof, BackendGone):  # noqa: ASYNC110 - no event tells that a journal is back
            await asyncio.sleep(_AGAIN)
        if alerted:
            self._telemetry.remaining(-1)
        self.over(kept.session_id)
        del self._left[kept.session_id]
        self._less.set()

    def _record(self, kept: KeptBackend, proof: Proof, kind: type[BackendGone | BackendRemains]) -> bool:
        window = self._windows.get(kept.window_id)
        if window is None:
            return True
        event: Event = kind(
            session_id=kept.session_id, window=window, process=kept.process, at=self._clock(), proof=proof
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            return False
        return True

    # --- the end of this process -----------------------------------------------------------------------

    async def stop(self) -> None:
        """What is not gone by now is left to the process that comes after."""
        for task in self._ending.values():
            task.cancel()
        await asyncio.gather(*self._ending.values(), return_exceptions=True)

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write()
