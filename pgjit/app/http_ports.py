"""The ports that speak HTTP: the API with the console, and the admin port. Each is open until its block is left.

Decides what is started before an HTTP server accepts calls, and in which order it is stopped. What the endpoints use
is made by `application.py`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from pgjit.api.health import admin_api
from pgjit.api.readiness import ReadinessBoard, ReadinessReport
from pgjit.api.section import HttpApiSection
from pgjit.api.services import ApiServices
from pgjit.api.serving import CONNECTIONS_OF_ADDRESS, HttpServer
from pgjit.app.console_parts import new_console
from pgjit.app.from_config import server_tls
from pgjit.app.readiness import ConnectionProbes, WatchedParts, readiness_checks
from pgjit.app.store_changes import reporting_changes
from pgjit.clock import Clock
from pgjit.config import AdminSection, Config
from pgjit.telemetry import Telemetry

if TYPE_CHECKING:
    from pgjit.api.gate import RefusedCalls

__all__ = ["NodeReadiness", "open_admin_port", "open_api"]

_OF_ADMIN_PORT = 32
"""Connections to the admin port: they are part of the reserve in `file_descriptors.py`."""


@dataclass(slots=True)
class NodeReadiness:
    """What the admin port reports, for the API, which is open before it."""

    board: ReadinessBoard | None = None

    def report(self) -> ReadinessReport | None:
        """None until the admin port is open."""
        return None if self.board is None else self.board.asked()


@asynccontextmanager
async def open_api(
    config: Config,
    section: HttpApiSection,
    services: ApiServices,
    refused: RefusedCalls,
    inherited: socket.socket | None = None,
) -> AsyncIterator[HttpServer]:
    """`inherited`: the socket, if it is open already. Raises InvalidFile or OSError.

    The feed of events ends first: a stream would hold up the server's stop.
    """
    from pgjit.api.http_api import http_api, new_endpoints  # here: without the section it is not needed

    services.journal.on_written.append(services.feed.take)
    endpoints = new_endpoints(services.version)
    gate = http_api(section, services, refused, endpoints)
    async with AsyncExitStack() as opened:
        served: ASGIApp = gate
        if section.console is not None:
            console = new_console(config, section.console, services.provider, gate, endpoints)
            served = await opened.enter_async_context(aclosing(console))
        tls = server_tls(config, section.tls or config.file.tls)
        server = HttpServer(served, tls, most_of_address=CONNECTIONS_OF_ADDRESS)
        await services.provider.start()
        await opened.enter_async_context(reporting_changes(services.store, services.feed.note_change))
        try:
            await server.open(section.listen.host, section.listen.port, inherited)
            yield server
        finally:
            services.feed.close()
            await server.close()
            if services.audit is not None:
                await services.audit.aclose()
            if services.explainer is not None:
                await services.explainer.close()
            if services.proofs is not None:
                await services.proofs.aclose()
            await services.provider.close()


@asynccontextmanager
async def open_admin_port(
    section: AdminSection,
    parts: WatchedParts,
    clock: Clock,
    telemetry: Telemetry,
    readiness: NodeReadiness,
    inherited: socket.socket | None = None,
) -> AsyncIterator[int]:
    """Yields its port. `inherited`: the socket, if it is open already. Raises OSError."""
    probes = ConnectionProbes(parts.servers)
    board = readiness.board = ReadinessBoard(lambda: readiness_checks(parts, probes), clock, probes.begin)
    telemetry.metrics.ready.watch(lambda: {(): int(board.look().ready)})
    admin = HttpServer(admin_api(board, telemetry.page), most=_OF_ADMIN_PORT, most_of_address=_OF_ADMIN_PORT)
    try:
        await admin.open(section.host, section.port, inherited)
        async with board.running():
            yield admin.port
    finally:
        await admin.close()
        await probes.close()
