"""The exporting process, as its parent sees it: started, fed with metrics, started again when it dies.

Decides what the proxy does for the export: writes a line of numbers now and then, and reads reports. It never waits
for the process, whose state may be anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson

from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.audit.telemetry.export_state import COUNTED, ExportState
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["ExportProcess"]

_MOST_UNREAD = 1 << 20
_CLOSE_SECONDS = 4.0
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_log = logging.getLogger("pgjit.otlp")


class ExportProcess:
    """`totals` has what all its processes have done; `index` is that of the next line to send."""

    def __init__(self, settings: ExportSettings, snapshot: Callable[[], bytes]) -> None:
        self.settings = settings
        self.dependency = ExternalDependency("otlp", settings.target.endpoint)
        self.totals = dict.fromkeys(COUNTED, 0)
        self.index: int | None = None  # not known yet
        self._snapshot = snapshot
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._keep_running())]
        if self.settings.metrics_seconds is not None:
            tasks.append(asyncio.create_task(self._send_metrics(self.settings.metrics_seconds)))
        try:
            yield
        finally:
            await self._stop(tasks)

    async def _keep_running(self) -> None:
        wait = _FIRST_WAIT
        while True:
            before = self.totals["records"]
            try:
                await self._run_once()
            except OSError as fault:
                self.dependency.failed(f"the exporting process does not start: {fault.strerror}")
            else:
                self.dependency.failed("the exporting process ended")
            wait = _FIRST_WAIT if self.totals["records"] > before else min(_LONGEST_WAIT, 2 * wait)
            await asyncio.sleep(wait)

    async def _run_once(self) -> None:
        # The child imports the same code from the same places.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pgjit.audit.telemetry.export_program",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self.settings.to_json() + b"\n")
        last = ExportState()
        async for line in process.stdout:
            with suppress(orjson.JSONDecodeError, TypeError):
                state = ExportState(**orjson.loads(line))
                self._take(state, last)
                last = state
        await process.wait()

    def _take(self, state: ExportState, last: ExportState) -> None:
        for name in COUNTED:
            self.totals[name] += getattr(state, name) - getattr(last, name)
        self.index = state.index
        if state.fault is None:
            self.dependency.works()
        elif state.failures != last.failures:
            self.dependency.failed(state.fault)

    async def _send_metrics(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self.send_metrics()

    def send_metrics(self) -> None:
        """Give the process the numbers of now. If it does not read, they are left out."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None or process.stdin.is_closing():
            return
        transport = process.stdin.transport
        if transport.get_write_buffer_size() < _MOST_UNREAD:
            process.stdin.write(self._snapshot() + b"\n")

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Close its input, so that it sends what is left; kill it if it goes on."""
        for task in tasks:
            task.cancel()
        process = self._process
        if process is not None and process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await process.wait()
            except TimeoutError:
                _log.warning("the exporting process is killed; what it has not sent is sent after the next start")
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await asyncio.gather(*tasks, return_exceptions=True)
