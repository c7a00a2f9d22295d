"""A worker as the supervisor has it: its process, its end of the bus, and the Unix socket of its admin pages.

Decides what a worker inherits, and how it is started and stopped. Does not know why.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
import uuid
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pgjit.app.supervisor.bus import Bus
from pgjit.app.supervisor.bus_message import Descriptor, DrainOrder, WorkerStart

__all__ = ["WorkerChild", "start_worker"]

_PAGE_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class WorkerChild:
    name: str
    run: str  # of this process on the store
    slot: int
    process: Process
    bus: Bus
    admin: Path
    started: float = field(default_factory=time.monotonic)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def number(self) -> str:
        """The last part of its name: the label of its metrics."""
        return self.name.rpartition(".")[2]

    @property
    def lived(self) -> float:
        return time.monotonic() - self.started

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def drain(self, *, delayed: bool = False, keeps_queue: bool = True) -> None:
        """Once. By default another worker goes on to accept from its sockets."""
        if self.draining:
            return
        self.draining = True
        if self.ready.is_set():
            self.bus.send(DrainOrder(delayed=delayed, keeps_queue=keeps_queue))
        else:
            self.send_signal(signal.SIGTERM)

    async def page(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """Status and text of one of its admin pages; 0 if it does not answer."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.admin))
        try:
            async with httpx.AsyncClient(transport=transport, timeout=_PAGE_SECONDS, trust_env=False) as client:
                response = await client.get(f"http://worker{path}", headers={"accept": accept})
        except httpx.HTTPError as fault:
            return 0, str(fault) or type(fault).__name__
        return response.status_code, response.text


async def start_worker(
    command: Sequence[str],
    name: str,
    slot: int,
    listening: Sequence[tuple[socket.socket, str]],
    folder: Path,
    dead: Sequence[str],
    *,
    held: bool,
) -> WorkerChild:
    """`listening`: the slot's sockets, and what each is for. `folder`: for its Unix socket. Raises OSError.

    `held`: a service manager holds the sockets too.
    """
    run = uuid.uuid4().hex
    place = folder / f"{name}-{run[:8]}"
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(socket.AF_UNIX) as admin:
        try:
            admin.bind(str(place))
            admin.listen(16)
            inherited = [*listening, (admin, "admin")]
            process = await asyncio.create_subprocess_exec(
                *command, "--worker", str(theirs.fileno()),
                stdin=DEVNULL, pass_fds=[theirs.fileno(), *(each.fileno() for each, _ in inherited)],
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        descriptors = [
            Descriptor.model_validate({"number": each.fileno(), "purpose": purpose}) for each, purpose in inherited
        ]
    bus = await Bus.on(ours)
    bus.send(WorkerStart(name=name, run=run, dead=list(dead), held=held, descriptors=descriptors))
    return WorkerChild(name, run, slot, process, bus, place)
