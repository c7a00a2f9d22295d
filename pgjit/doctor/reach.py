"""Logs in to a server as sessions do, and reports what answered: which server, its clock, its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pgjit.doctor.clocks import ClockReading
from pgjit.doctor.login import logged_in
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
    async with logged_in(target, f"connection `{target.name}` cannot be used", _SECONDS) as upstream:
        sent = datetime.now(UTC)
        [row] = await run_query(upstream.link, _CLOCK)
        theirs = datetime.fromtimestamp(float(row[0] or "nan"), UTC)
        reading = ClockReading(sent, datetime.now(UTC), theirs)
        certificate = peer_certificate(upstream.link)
        return ReachedServer(str(upstream.address), upstream.server_version, reading, certificate)
