"""Logs in to a server as sessions do, and reports what answered: which server, its clock, its certificate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from pgjit.doctor.clocks import ClockReading
from pgjit.doctor.examine import FAULTS, log_in
from pgjit.errors import ServerUnavailable
from pgjit.server.dial import peer_certificate
from pgjit.server.simple_query import run_query
from pgjit.server.target import Target

__all__ = ["ReachedServer", "reach_server"]

_SECONDS = 30.0
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::text"


@dataclass(frozen=True, slots=True)
class ReachedServer:
    address: str
    version: str
    clock: ClockReading
    certificate: bytes | None  # DER; None without TLS


async def reach_server(target: Target) -> ReachedServer:
    """Raises ServerUnavailable."""
    try:
        async with asyncio.timeout(_SECONDS):
            upstream = await log_in(target)
            try:
                asked = datetime.now(UTC)
                [row] = await run_query(upstream.link, _CLOCK)
                theirs = datetime.fromtimestamp(float(row[0] or "nan"), UTC)
                reading = ClockReading(asked, datetime.now(UTC), theirs)
                certificate = peer_certificate(upstream.link)
                return ReachedServer(str(upstream.address), upstream.server_version, reading, certificate)
            finally:
                await upstream.leave()
    except (*FAULTS, ValueError) as fault:
        raise ServerUnavailable(
            f"connection `{target.name}` cannot be used",
            reference="server-unavailable",
            detail=str(fault) or f"{type(fault).__name__}, within {_SECONDS:g} s",
            hint="pgjit logs in with the credential of the connection.",
        ) from None
