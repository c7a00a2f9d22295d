"""Memory of the proxy for each idle session, while many are open at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

from tests.bench.accounting import memory_bytes
from tests.bench.bed import DIRECT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, Spread
from tests.run.processes import own

__all__ = ["measure"]

_ROOT = Path(__file__).parents[3]
_OF_BACKEND = 4 * 2**20
"""Memory that the server may need for one backend."""


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    cases = {f"idle-{number}": number for number in effort.sessions}
    for case in effort.chosen(cases):
        if (why := _too_many(bed, cases[case])) is not None:
            print(f"{case}: not measured, {why}", file=sys.stderr)
            continue
        ways: dict[str, Spread] = {}
        for way in effort.once([way for way in bed.ways if way != DIRECT], case):
            each = _memory_of_each(bed, way, cases[case]) / 1024
            ways[way] = Spread(each, each, each)
        yield Figure(case, "memory", "KiB", ways)


def _too_many(bed: Bed, number: int) -> str | None:
    if number > bed.postgres.connections:
        return f"the server takes {bed.postgres.connections} sessions"
    available = _available()
    if number * _OF_BACKEND > available:
        return f"{number} backends do not fit into {available // 2**20} MiB of memory"
    return None


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _memory_of_each(bed: Bed, way: str, number: int) -> float:
    """With one session open before: what all sessions share is not counted."""
    group = bed.group(way)
    assert group is not None
    with _held(bed, way, 1):
        before = memory_bytes(group)
        with _held(bed, way, number):
            return (memory_bytes(group) - before) / number


@contextmanager
def _held(bed: Bed, way: str, number: int) -> Iterator[None]:
    """So many sessions are open inside the block."""
    command = (sys.executable, "-m", "tests.bench.sessions", str(number))
    with own(*command, stdin=PIPE, env=bed.environment(way), cwd=_ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline().strip() != "open":
            raise SystemExit(f"bench: {process.stderr.read()[-2000:]}")
        yield
