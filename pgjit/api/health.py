"""The admin endpoints: liveness, readiness, metrics. They show nothing of what agents do.

Decides the paths and their status codes. Which conditions make pgjit ready is decided by the caller.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pgjit.api.serving import PromptServer

__all__ = ["AdminServer", "admin_api"]


def admin_api(checks: dict[str, Callable[[], bool]]) -> FastAPI:
    """`checks` are conditions by name. pgjit is ready when all of them are true."""
    api = FastAPI(title="pgjit admin", docs_url=None, redoc_url=None)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Alive: the event loop responds."""
        return {"status": "alive"}

    @api.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Ready: logins can be checked and recorded. Otherwise 503, with the conditions that are not met."""
        states = {name: check() for name, check in checks.items()}
        ready = all(states.values())
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "not ready", "checks": states}

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return api


class AdminServer:
    """Serves `api` on a port, in the running event loop."""

    def __init__(self, api: FastAPI) -> None:
        self._server = PromptServer(uvicorn.Config(api, log_config=None, access_log=False, lifespan="off"))
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Raises OSError when the port is in use."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError:
            listening.close()
            raise
        self.port = int(listening.getsockname()[1])
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            serving.cancel()
            await self._task

    async def close(self) -> None:
        if self._task is not None:
            self._server.stop()
            await self._task
