"""One run of pgbench in one way, and what it cost.

The CPU of a transaction is that of the proxy's process group between two of pgbench's progress reports, when every
client has logged in long ago. A run of a number of transactions may have none: then the CPU of the logins is
subtracted, as a run of one transaction for each client has shown it just before.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.accounting import cpu_seconds
from tests.bench.bed import Bed
from tests.bench.effort import Effort
from tests.run.processes import own

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
    """microseconds of each transaction"""


def run_load(bed: Bed, way: str, load: Load, effort: Effort, *, latencies: bool = False) -> Sample:
    group = bed.group(way)
    login = 0.0
    if group is not None and effort.transactions and not load.connects:
        begun = cpu_seconds(group)
        _pgbench(bed, way, load, ["-t", "1"])
        login = cpu_seconds(group) - begun
    begun = cpu_seconds(group) if group is not None else 0.0
    prefix = bed.folder / "latency"
    more = ["-l", f"--log-prefix={prefix}"] if latencies else []
    length = ["-T", str(max(1, round(effort.seconds))), "-P", "1"]
    if effort.transactions:
        length = ["-t", str(max(1, effort.transactions // load.clients))]
    shown, reports = _pgbench(bed, way, load, [*length, *more])
    used = cpu_seconds(group) - begun - login if group is not None else 0.0
    cpu = used / max(1, _figure(r"transactions actually processed: (\d+)", shown))
    if len(reports) > 1 and not load.connects:
        cpu = _cpu_between(reports)
    rate = _figure(r"tps = ([\d.]+)", shown)
    return Sample(rate, max(0.0, cpu) * 1e6, _take_latencies(prefix) if latencies else ())


@dataclass(frozen=True)
class _Progress:
    """A report of pgbench: transactions a second since the one before; and the CPU that was used when it came."""

    at: float
    rate: float
    cpu: float


def _cpu_between(reports: Sequence[_Progress]) -> float:
    """Seconds for each transaction from the first report to the last."""
    pairs = itertools.pairwise(reports)
    transactions = sum(later.rate * (later.at - earlier.at) for earlier, later in pairs)
    return (reports[-1].cpu - reports[0].cpu) / max(1.0, transactions)


def _pgbench(bed: Bed, way: str, load: Load, more: list[str]) -> tuple[str, list[_Progress]]:
    threads = str(min(2, load.clients))
    command = [str(bed.postgres.pgbench), "-n", "-c", str(load.clients), "-j", threads, *load.arguments, *more]
    group, reports, errors = bed.group(way), [], []
    with own(*command, env=bed.environment(way, load.policy), cwd=bed.folder) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.match(r"progress: ([\d.]+) s, ([\d.]+) tps", line):
                cpu = cpu_seconds(group) if group is not None else 0.0
                reports.append(_Progress(float(found[1]), float(found[2]), cpu))
            else:
                errors.append(line)
        shown, _ = process.communicate(timeout=_SECONDS)
    if process.returncode != 0:
        raise SystemExit(f"bench: pgbench failed in the way `{way}`: {''.join(errors)[-1000:]}{shown[-1000:]}")
    return shown, reports


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
