"""The machine and the programs of a run: what its figures belong to."""

from __future__ import annotations

import os
import platform
import ssl
from datetime import UTC, datetime
from pathlib import Path

from pgjit.app import VERSION
from pgjit.build import check_build
from tests.bench.bed import Bed
from tests.bench.pgbouncer import pgbouncer_version

__all__ = ["describe"]


def describe(bed: Bed) -> dict[str, str]:
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB of memory",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "load before": f"{load:.1f}" + ("" if load < 1 else ": the machine was busy with other work as well"),
        "PostgreSQL": bed.postgres.version + ("" if bed.postgres.tls else ", direct without TLS: it has none"),
        "pgbouncer": pgbouncer_version() or "not installed: pgjit is compared with direct alone",
        "pgjit": f"{VERSION} ({check_build()}), one worker; two in the cases `-w2`",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
