"""`pgjit serve`: runs the proxy until SIGTERM or SIGINT."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.config import Config
    from pgjit.telemetry.program_log import ProgramLog

__all__ = ["serve"]

_log = logging.getLogger("pgjit.serve")


def serve(
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as one JSON line.")] = False,
) -> int:
    """Run the proxy.

    It lists every fault of the configuration and the policies at once, and does not start with one.
    On SIGTERM idle sessions end at once; running statements have `limits.drain_seconds` to complete.
    """
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config
    from pgjit.telemetry.program_log import ProgramLog

    loaded = load_config(config)
    with ProgramLog(loaded.file.log.format, loaded.file.log.level) as log:
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        return run_program(_serve(loaded, log, as_json=as_json))


async def _serve(config: Config, log: ProgramLog, *, as_json: bool) -> int:
    from pgjit.app import VERSION, App
    from pgjit.cli.loop import stop_signal

    stop = stop_signal()
    async with App(config, warm=True) as app:
        app.telemetry.metrics.log_dropped.watch(lambda: {(): log.writer.dropped})
        places = {
            "version": VERSION,
            "listen": f"{config.file.listen.host}:{app.port}",
            "admin": f"http://{config.file.admin.host}:{app.admin_port}",
        }
        if config.file.api is not None:
            places["api"] = f"https://{config.file.api.listen.host}:{app.api_port}"
        if as_json:
            print(json.dumps(places), flush=True)
        else:
            others = ", ".join(f"{name} on {places[name]}" for name in ("admin", "api") if name in places)
            print(f"pgjit {VERSION} listens on {places['listen']}, {others}", flush=True)
        await stop.wait()
        if not as_json:
            print("draining: no new sessions, waiting for running statements", flush=True)
    return Status.OK
