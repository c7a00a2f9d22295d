"""`pgjit serve`: runs the proxy until SIGTERM or SIGINT."""

from __future__ import annotations

import json
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.build import check_build
from pgjit.cli.status import Status

if TYPE_CHECKING:
    import asyncio

    from pgjit.app import App
    from pgjit.app.inherited_sockets import InheritedSockets
    from pgjit.app.service_manager import ServiceManager
    from pgjit.cli.loop import Hangups
    from pgjit.config import Config
    from pgjit.telemetry.program_log import ProgramLog

__all__ = ["serve"]

_log = logging.getLogger("pgjit.serve")


def serve(
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one JSON line.")] = False,
    worker: Annotated[
        int | None, typer.Option(hidden=True, help="For the supervisor alone: the descriptor of the bus.")
    ] = None,
) -> int:
    """Run the proxy.

    It lists every fault of the configuration and the policies at once, and does not start with one.
    On SIGTERM it is no longer ready, accepts connections for `limits.drain_delay_seconds`, then ends idle sessions;
    running statements have `limits.drain_seconds` to complete. A second signal ends all waiting.
    On SIGHUP the configuration, policies, certificates and secrets are read again: all of it counts, or nothing.
    Under systemd it takes over the sockets of a socket unit, and reports its state.
    """
    from pgjit.app.inherited_sockets import inherited_sockets
    from pgjit.app.service_manager import ServiceManager
    from pgjit.cli.loop import Hangups, run_program
    from pgjit.config import load_config
    from pgjit.telemetry.program_log import ProgramLog

    if worker is not None:
        from pgjit.cli.serve_workers import serve_as_worker

        return serve_as_worker(config, worker)
    inherited = inherited_sockets()  # first: no child process gets them
    service_manager = ServiceManager.of_environment()
    hangups = Hangups()
    loaded = load_config(config)
    with ProgramLog(loaded.file.log.format, loaded.file.log.level) as log:
        _log.info("this build of pgjit: %s", check_build())
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        if loaded.workers > 1:
            from pgjit.cli.serve_workers import supervise

            return supervise(loaded, config, inherited, service_manager, as_json=as_json)
        return run_program(_serve(loaded, log, inherited, service_manager, hangups, as_json=as_json))


async def _serve(
    config: Config,
    log: ProgramLog,
    inherited: InheritedSockets,
    service_manager: ServiceManager,
    hangups: Hangups,
    *,
    as_json: bool,
) -> int:
    from pgjit.app import App
    from pgjit.app.session_port import longest_drain
    from pgjit.cli.loop import entered_unless, stop_signals
    from pgjit.cycle_collection import CycleCollection

    stop, at_once = stop_signals()
    app = App(config, warm=True, inherited=inherited)
    app.stop_at_once = at_once
    async with AsyncExitStack() as running:
        await running.enter_async_context(service_manager.watched())
        extended = await running.enter_async_context(AsyncExitStack())
        cycles = CycleCollection(lambda: len(app.registry))
        await running.enter_async_context(cycles.running())  # during the drain, too
        if not await entered_unless(stop, running, app):
            return Status.OK
        cycles.collect_all()
        app.telemetry.metrics.log_dropped.watch(lambda: {(): log.writer.dropped})
        _print_places(config, app, as_json=as_json)
        service_manager.ready(f"serves sessions on {config.file.listen.host}:{app.port}")
        app.reloading.on_change.append(lambda new: log.change(new.file.log.format, new.file.log.level))
        # During the drain, too.
        await extended.enter_async_context(hangups.handled(lambda: _reload(app, service_manager, stop)))
        await stop.wait()
        service_manager.stopping("draining: running statements may complete")
        await extended.enter_async_context(service_manager.extended(longest_drain(app.reloading.config.file.limits)))
        if not as_json:
            print("draining: no new sessions, waiting for running statements", flush=True)
    return Status.OK


async def _reload(app: App, service_manager: ServiceManager, stop: asyncio.Event) -> None:
    if stop.is_set():  # it stops: systemd takes no other state
        await app.reloading.attempt("signal")
        return
    service_manager.reloading("reads the configuration again")
    done = await app.reloading.attempt("signal")
    service_manager.ready("serves sessions" if done else "serves sessions; the last reload was refused")


def _print_places(config: Config, app: App, *, as_json: bool) -> None:
    from pgjit.app import VERSION

    places = {
        "version": VERSION,
        "build": str(check_build()),
        "listen": f"{config.file.listen.host}:{app.port}",
        "admin": f"http://{config.file.admin.host}:{app.admin_port}",
    }
    if config.file.api is not None:
        places["api"] = f"https://{config.file.api.listen.host}:{app.api_port}"
    if as_json:
        print(json.dumps(places), flush=True)
        return
    others = ", ".join(f"{name} on {places[name]}" for name in ("admin", "api") if name in places)
    print(f"pgjit {VERSION} ({places['build']}) listens on {places['listen']}, {others}", flush=True)
