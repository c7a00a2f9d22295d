"""Keeps the backends of all sessions in the store, and ends the orphans: backends that an earlier process left.

A process that is killed, or stops before a backend was seen to be gone, leaves it in the store. The next process ends
it, and its window does not end before. Decides when the store is written: shortly after a session began, so that no
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
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.backend_stop import BackendStop
from pgjit.server.dial import Address
from pgjit.server.servers import Backend, Servers
from pgjit.server.target import Host
from pgjit.telemetry import Telemetry
from pgjit.turns import take_turn

__all__ = ["KeptBackends"]

_log = logging.getLogger("pgjit.windows")
_RETRY_SECONDS = 1.0
_READY_SECONDS = 60.0


class KeptBackends:
    def __init__(self, store: Store, journal: Journal, clock: Clock, telemetry: Telemetry) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._telemetry = telemetry
        self._changes: dict[str, KeptBackend | None] = {}  # unsaved changes by session; None: it is over
        self._changed = asyncio.Event()
        self._saving: asyncio.Task[None] | None = None
        self._orphans: dict[str, dict[str, KeptBackend]] = {}  # by window, then by session
        self._windows: dict[str, Window] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._gone: dict[str, asyncio.Event] = {}  # by window, where somebody waits for the last of its orphans
        self._servers: Mapping[str, Servers] | None = None
        self._loaded_at = clock.steady()

    # --- sessions of this process ----------------------------------------------------------------------

    def add(self, session_id: str, window: Window, backend: Backend) -> None:
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

    def remove(self, session_id: str) -> None:
        """The backend was seen to be gone, or was logged out."""
        self._changes[session_id] = None
        self._changed.set()

    async def _keep_saving(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.save():
                await asyncio.sleep(_RETRY_SECONDS)
                self._changed.set()

    async def save(self) -> bool:
        """Save the changes; False if the store does not accept them."""
        changes, self._changes = self._changes, {}
        if not changes:
            return True
        try:
            await self._store.note_backends(
                [entry for entry in changes.values() if entry is not None],
                [session_id for session_id, entry in changes.items() if entry is None],
            )
        except PgjitError as fault:
            self._changes = {**changes, **self._changes}
            _log.error("%d backends are not saved yet: %s", len(changes), fault.message)
            return False
        return True

    # --- orphans: backends that an earlier process left ------------------------------------------------

    async def load(self) -> None:
        """Read the orphans from the store. Raises ServerUnavailable."""
        try:
            kept = await self._store.backends(own=True)
        except (KeyError, TypeError, ValueError) as fault:
            raise ServerUnavailable(
                "window store cannot be used",
                reference="store-unavailable",
                detail="The entry of a backend cannot be read.",
            ) from fault
        for entry in kept:
            self._orphans.setdefault(entry.window_id, {})[entry.session_id] = entry
        self._windows = await self._store.known(set(self._orphans))
        self._saving = asyncio.create_task(self._keep_saving())

    def end_orphans(self, servers: Mapping[str, Servers]) -> None:
        """Start to end the orphans: no client uses them any more."""
        self._servers = servers
        for orphans in self._orphans.values():
            for entry in orphans.values():
                self._ending[entry.session_id] = asyncio.create_task(self._end(entry, servers))

    async def adopt(self, windows: Mapping[str, Window], registry: Registry) -> None:
        """End the backends that another node left of these windows. Raises ServerUnavailable."""
        self._windows |= windows
        for entry in await self._store.backends(own=True):
            known = entry.session_id in self._ending or registry.get(entry.session_id) is not None
            if entry.window_id in windows and not known and self._servers is not None:
                self._orphans.setdefault(entry.window_id, {})[entry.session_id] = entry
                self._ending[entry.session_id] = asyncio.create_task(self._end(entry, self._servers))

    def count_orphans(self, window_id: str) -> int:
        return len(self._orphans.get(window_id, ()))

    @property
    def orphans_remain(self) -> bool:
        """Whether a backend of an earlier process was not seen to end yet: then pgjit is not ready.

        It is ready after a minute all the same, with an alert: one server that does not answer must not keep agents
        from all others.
        """
        return bool(self._orphans) and self._clock.steady() < self._loaded_at + _READY_SECONDS

    async def wait_until_gone(self, window_id: str) -> None:
        """Return when this window has no orphans."""
        while self.count_orphans(window_id):
            await self._gone.setdefault(window_id, asyncio.Event()).wait()

    async def _end(self, entry: KeptBackend, servers: Mapping[str, Servers]) -> None:
        await take_turn(ends=True)
        _log.warning(
            "an earlier process left backend %d of session %s: it is ended", entry.process.pid, entry.session_id
        )
        place = entry.address
        if place.connection not in servers:
            _log.critical("connection %s is no longer configured: its backend cannot be ended", place.connection)
            return
        address = Address(Host(place.host, place.port), place.family, place.sockaddr)
        async with servers[place.connection].control_at(address) as control:
            stop = BackendStop(entry.process, control, self._clock)
            alerted = False

            def alert(stop: BackendStop) -> None:
                nonlocal alerted
                proof = stop.proof(gone=False)
                _log.critical("backend %d was not seen to end: %s", entry.process.pid, proof.error)
                if not alerted:
                    alerted = True
                    self._telemetry.remaining(+1)
                    self._record(entry, proof, BackendRemains)

            await stop.run(cancel=False, answered=lambda: True, alert=alert)
        proof = stop.proof(gone=True)
        while not self._record(entry, proof, BackendGone):  # noqa: ASYNC110 - no event reports that the journal is back
            await asyncio.sleep(_RETRY_SECONDS)
        if alerted:
            self._telemetry.remaining(-1)
        ids = {"session": entry.session_id, "window": entry.window_id}
        _log.info("backend %d of an earlier run is gone", entry.process.pid, extra=ids)
        self.remove(entry.session_id)
        self._forget(entry)

    def _forget(self, entry: KeptBackend) -> None:
        orphans = self._orphans[entry.window_id]
        del orphans[entry.session_id]
        if not orphans:
            del self._orphans[entry.window_id]
            if (gone := self._gone.pop(entry.window_id, None)) is not None:
                gone.set()

    def _record(self, entry: KeptBackend, proof: Proof, kind: type[BackendGone | BackendRemains]) -> bool:
        window = self._windows.get(entry.window_id)
        if window is None:
            return True
        event: Event = kind(
            session_id=entry.session_id, window=window, process=entry.process, at=self._clock(), proof=proof
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            return False
        return True

    # --- shutdown --------------------------------------------------------------------------------------

    async def stop_ending(self) -> None:
        """Stop waiting for orphans; the next process ends those that remain."""
        for task in self._ending.values():
            task.cancel()
        await asyncio.gather(*self._ending.values(), return_exceptions=True)

    async def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self.save()
