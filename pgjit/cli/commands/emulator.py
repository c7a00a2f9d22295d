"""`pgjit emulator`: the local Entra emulator on a port of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.loop import run_program, stop_signal
from pgjit.cli.status import Status

__all__ = ["emulator"]


def emulator(
    config: Annotated[Path | None, typer.Option(help="YAML file with apps and their groups.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8080,
) -> int:
    """Run the local Entra emulator: discovery, keys and a client-credentials token endpoint.

    For trying policies out. Its keys are made at each start: no real system must ever trust it.
    """
    return run_program(_emulator(config, host, port))


async def _emulator(config: Path | None, host: str, port: int) -> int:
    from pgjit.demo.emulator import Emulator, read_settings

    stop = stop_signal()
    served = Emulator(read_settings(config)) if config else Emulator()
    await served.start(host, port)
    try:
        print(
            json.dumps({"authority": served.url, "tenant": served.tenant, "audience": served.audience}),
            flush=True,
        )
        await stop.wait()
    finally:
        await served.close()
    return Status.OK
