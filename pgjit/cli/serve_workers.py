"""`pgjit serve` with several workers: as the supervisor, and as one of its workers.

Decides which signal means what for each, and what is printed. `app/supervisor/` has everything else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pgjit.cli.loop import Hangups, entered_unless, run_program, stop_signals
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pgjit.app.inherited_sockets import InheritedSockets
    from pgjit.app.service_manager import ServiceManager
    from pgjit.app.supervisor.supervisor import Supervisor
    from pgjit.config import Config

__all__ = ["serve_as_worker", "supervise"]

_log = logging.getLogger("pgjit.workers")


# --- the supervisor --------------------------------------------------------------------------------------


def supervise(
    config: Config, path: Path, inherited: InheritedSockets, service_manager: ServiceManager, *, as_json: bool
) -> int:
    """`path`: of the configuration file."""
    return run_program(_supervise(config, path, inherited, service_manager, as_json=as_json))


async def _supervise(
    config: Config, path: Path, inherited: InheritedSockets, service_manager: ServiceManager, *, as_json: bool
) -> int:
    from pgjit.app.supervisor.supervisor import Supervisor, WorkerFailed

    stop, at_once = stop_signals()
    supervisor = Supervisor(config, path, inherited)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervisor.pass_on, signal.SIGHUP)
    async with AsyncExitStack() as running:
        await running.enter_async_context(service_manager.watched(supervisor.all_answer))
        extended = await running.enter_async_context(AsyncExitStack())
        admin_port = await running.enter_async_context(_admin_port(config, supervisor, inherited))
        try:
            if not await entered_unless(stop, running, _workers(supervisor, at_once)):
                return Status.OK
        except WorkerFailed as failed:
            _log.error("%s before it served: it has reported why", failed)
            return failed.status if failed.status > 0 else Status.FAILED
        _follow_signals(supervisor)
        _print_places(config, supervisor, admin_port, as_json=as_json)
        service_manager.ready(
            f"{config.workers} workers serve sessions on {config.file.listen.host}:{supervisor.port}"
        )
        await stop.wait()
        service_manager.stopping("draining: running statements may complete")
        await extended.enter_async_context(service_manager.extended(supervisor.longest_drain))
        if not as_json:
            print("draining: no new sessions, waiting for running statements", flush=True)
    return Status.OK


@asynccontextmanager
async def _admin_port(config: Config, supervisor: Supervisor, inherited: InheritedSockets) -> AsyncIterator[int]:
    from pgjit.api.serving import HttpServer
    from pgjit.app.supervisor.admin_pages import supervisor_pages

    admin = HttpServer(supervisor_pages(supervisor))
    try:
        await admin.open(config.file.admin.host, config.file.admin.port, inherited.admin)
        yield admin.port
    finally:
        await admin.close()


def _follow_signals(supervisor: Supervisor) -> None:
    loop, rolling = asyncio.get_running_loop(), set[asyncio.Task[bool]]()

    def replace_workers() -> None:
        if len(rolling) > 1:
            _log.warning("workers are being replaced, and will be once more: this order adds nothing")
            return
        task = asyncio.create_task(supervisor.replace_all())
        rolling.add(task)
        task.add_done_callback(rolling.discard)

    loop.add_signal_handler(signal.SIGUSR2, replace_workers)


@asynccontextmanager
async def _workers(supervisor: Supervisor, at_once: asyncio.Event) -> AsyncIterator[None]:
    """They serve while the block runs, and drain after it. Raises WorkerFailed and OSError."""
    await supervisor.start()
    try:
        yield
    finally:
        await _stop(supervisor, at_once)


async def _stop(supervisor: Supervisor, at_once: asyncio.Event) -> None:
    stopping = asyncio.create_task(supervisor.stop())
    second = asyncio.create_task(at_once.wait())
    await asyncio.wait({stopping, second}, return_when=asyncio.FIRST_COMPLETED)
    if second.done():
        supervisor.stop_at_once()
    await stopping
    await _cancelled(second)


def _print_places(config: Config, supervisor: Supervisor, admin_port: int, *, as_json: bool) -> None:
    from pgjit.app import VERSION

    places: dict[str, object] = {
        "version": VERSION,
        "listen": f"{config.file.listen.host}:{supervisor.port}",
        "admin": f"http://{config.file.admin.host}:{admin_port}",
    }
    if config.file.api is not None:
        places["api"] = f"https://{config.file.api.listen.host}:{supervisor.api_port}"
    if as_json:
        workers = {child.name: child.process.pid for child in sorted(supervisor.children, key=lambda each: each.name)}
        print(json.dumps({**places, "workers": workers}), flush=True)
        return
    others = ", ".join(f"{name} on {places[name]}" for name in ("admin", "api") if name in places)
    print(f"pgjit {VERSION} listens on {places['listen']} with {config.workers} workers, {others}", flush=True)


# --- a worker --------------------------------------------------------------------------------------------


def serve_as_worker(path: Path, descriptor: int) -> int:
    """`descriptor`: of the bus."""
    from pgjit.app.inherited_sockets import sockets_of
    from pgjit.app.supervisor.bus_message import BusFault
    from pgjit.app.supervisor.worker_bus import read_start
    from pgjit.config import load_config
    from pgjit.telemetry.program_log import ProgramLog

    try:
        start, endpoint = read_start(descriptor)
    except (BusFault, OSError) as fault:
        print(f"error: `--worker` is for the supervisor of `pgjit serve` alone: {fault}", file=sys.stderr)
        return Status.USAGE
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group: the supervisor decides
    hangups = Hangups()
    inherited = sockets_of((each.number, each.purpose) for each in start.descriptors)
    config = replace(load_config(path), worker=start.name)
    with ProgramLog(config.file.log.format, config.file.log.level) as log:
        from pgjit.app.supervisor.worker_serving import serve_one_worker

        return run_program(serve_one_worker(config, start, endpoint, inherited, log, hangups.handled))


async def _cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
