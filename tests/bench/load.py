"""One run of pgbench in one way, and what it cost.

The CPU of a transaction is that of the proxy's process group during the run, less that of the logins, which a run of
one transaction for each client has shown just before.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.accounting import cpu_seconds
from tests.bench.bed import Bed
from tests.bench.effort import Effort

__all__ = ["Load", "Sample", "run_load"]

_SECONDS = 900


@dataclass(frozen=True)
class Load:
    """What pgbench does: its arguments, how many clients, under which policy of pgjit."""

    arguments: tuple[str, ...]
    clients: int
    policy: str = "bench-read"
    connects: bool = False
    """Whether each transaction has a connection of its own."""


@dataclass(frozen=True)
class Sample:
    rate: float
    """transactions a second"""
    cpu: float
    """microseconds of the proxy's CPU for each transaction"""
    latencies: tuple[int, ...] = ()
    """of each transaction, in microseconds"""


def run_load(bed: Bed, way: str, load: Load, effort: Effort, *, latencies: bool = False) -> Sample:
    group = bed.group(way)
    login = 0.0
    if group is not None and not load.connects:
        begun = cpu_seconds(group)
        _pgbench(bed, way, load, ["-t", "1"])
        login = cpu_seconds(group) - begun
    begun = cpu_seconds(group) if group is not None else 0.0
    prefix = bed.folder / "latency"
    more = ["-l", f"--log-prefix={prefix}"] if latencies else []
    length = ["-T", str(max(1, round(effort.seconds)))]
    if effort.transactions:
        length = ["-t", str(max(1, effort.transactions // load.clients))]
    shown = _pgbench(bed, way, load, [*length, *more])
    used = cpu_seconds(group) - begun - login if group is not None else 0.0
    transactions = int(_figure(r"transactions actually processed: (\d+)", shown))
    rate = _figure(r"tps = ([\d.]+)", shown)
    return Sample(rate, max(0.0, used) / max(1, transactions) * 1e6, _take_latencies(prefix) if latencies else ())


def _pgbench(bed: Bed, way: str, load: Load, more: list[str]) -> str:
    threads = str(min(2, load.clients))
    command = [str(bed.postgres.pgbench), "-n", "-c", str(load.clients), "-j", threads, *load.arguments, *more]
    done = subprocess.run(
        command, env=bed.environment(way, load.policy), capture_output=True, text=True, cwd=bed.folder,
        timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode != 0 or "failed transactions: 0 " not in done.stdout + "failed transactions: 0 ":
        raise SystemExit(f"bench: pgbench failed in the way `{way}`: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def _figure(pattern: str, shown: str) -> float:
    found = re.search(pattern, shown)
    if found is None:
        raise SystemExit(f"bench: pgbench printed no figure for {pattern!r}: {shown[-2000:]}")
    return float(found[1])


def _take_latencies(prefix: Path) -> tuple[int, ...]:
    """pgbench's log has a line for each transaction; its third field is the time. The files are removed."""
    found: list[int] = []
    for file in prefix.parent.glob(f"{prefix.name}.*"):
        with file.open() as lines:
            found.extend(int(line.split()[2]) for line in lines)
        file.unlink()
    return tuple(found)
