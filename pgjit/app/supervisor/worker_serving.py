"""A worker process: the application, with the bus to its supervisor.

Decides how it leaves its port. An order of the supervisor says how. On SIGTERM from somebody else its slot goes on
with another worker: it leaves at once, and what waits in the socket is for that one. If the supervisor is gone nobody
follows: it serves who is connected, and ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from pgjit.app.application import App
from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.app.session_port import PortEnd
from pgjit.app.supervisor.bus_message import WorkerStart
from pgjit.app.supervisor.events import first_of
from pgjit.app.supervisor.worker_bus import WorkerBus
from pgjit.app.worker_place import WorkerPlace
from pgjit.config import Config
from pgjit.cycle_collection import CycleCollection
from pgjit.telemetry.program_log import ProgramLog

__all__ = ["serve_one_worker"]

_log = logging.getLogger("pgjit.workers")


ReloadSignals = Callable[[Callable[[], Awaitable[object]]], AbstractAsyncContextManager[None]]
"""While the block runs, each SIGHUP calls the function."""


async def serve_one_worker(
    config: Config,
    start: WorkerStart,
    endpoint: socket.socket,
    inherited: InheritedSockets,
    log: ProgramLog,
    reload_signals: ReloadSignals,
) -> int:
    """Returns the exit status. `endpoint`: of the bus."""
    supervisor = os.getppid()

    def have_all_reload() -> None:
        if os.getppid() == supervisor:
            os.kill(supervisor, signal.SIGHUP)

    terminated, at_once = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (at_once if terminated.is_set() or bus.ordered.is_set() else terminated).set()

    async with WorkerBus.open(endpoint) as bus:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, received)
        place = WorkerPlace(siblings=bus, run=start.run, dead=tuple(start.dead))
        app = App(config, warm=True, inherited=inherited, place=place)
        app.stop_at_once = at_once
        async with AsyncExitStack() as running:
            cycles = CycleCollection(lambda: len(app.registry))
            await running.enter_async_context(cycles.running())  # during the drain, too
            reloads = await running.enter_async_context(AsyncExitStack())
            await running.enter_async_context(app)
            cycles.collect_all()
            app.telemetry.metrics.log_dropped.watch(lambda: {(): log.writer.dropped})
            app.reloading.on_change.append(lambda new: log.change(new.file.log.format, new.file.log.level))
            app.reloading.on_change.append(lambda new: bus.follow(new.file.limits))
            app.reloading.on_call.append(have_all_reload)
            # During the drain, too.
            await reloads.enter_async_context(reload_signals(lambda: app.reloading.attempt("signal")))
            bus.ready()
            await first_of(terminated, bus.ordered)
            app.port_end = _port_end(start, bus)
    return 0


def _port_end(start: WorkerStart, bus: WorkerBus) -> PortEnd:
    if (order := bus.order) is not None:
        return PortEnd(delayed=order.delayed, keeps_queue=order.keeps_queue)
    if bus.ordered.is_set():
        _log.critical("the supervisor is gone: worker %s serves who is connected, and ends", start.name)
        return PortEnd(delayed=False, keeps_queue=start.held)
    return PortEnd(delayed=False, keeps_queue=True)
