"""Two workers behind one port, beside one and beside pgbouncer: throughput, CPU, and memory of idle sessions.

Workers need a PostgreSQL store, which is on the bench's server. They share the cores with pgbench and PostgreSQL: a
second worker brings more where there are more cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.bench.bed import PGBOUNCER, PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, Spread
from tests.bench.load import Sample, run_load
from tests.bench.measures.idle import NotOpened, memory_of_each
from tests.bench.measures.throughput import LOADS, load_figures, ways_of_turn, write_scripts
from tests.bench.postgres import ROLE
from tests.bench.room import room_of
from tests.bench.served import run_served

__all__ = ["cases", "measure"]

_WORKERS = 2
_ONE, _TWO = "one worker", "two workers"
_STORE = "bench_store"
_LOADS = ("prepared-8", "unique-8")


def cases(effort: Effort) -> tuple[str, ...]:
    """A load has rows for one worker (`-w1`) and for two (`-w2`), of the same turns."""
    return (*(f"{case}-w2" for case in _LOADS), f"idle-{min(effort.sessions)}-w2")


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    chosen = effort.chosen(cases(effort))
    if not chosen:
        return
    write_scripts(bed.folder)
    with _two_workers(bed) as two:
        for case in chosen:
            load = case.removesuffix("-w2")
            if load in _LOADS:
                yield from _throughput(bed, two, load, effort)
            else:
                yield _memory(two, case, min(effort.sessions), effort)


@contextmanager
def _two_workers(bed: Bed) -> Iterator[Bed]:
    """The bed with another pgjit, that has two workers."""
    server = bed.postgres
    server.superuser(f"CREATE DATABASE {_STORE} OWNER {ROLE};", "postgres")
    place = str(server.socket_dir), server.port, server.password
    with run_served(bed.folder / "workers", bed.certificates, *place, workers=_WORKERS, store=_STORE) as served:
        yield replace(bed, pgjit=served)


def _throughput(bed: Bed, two: Bed, load: str, effort: Effort) -> Iterator[Figure]:
    turns = [*(way for way in bed.ways if way == PGBOUNCER), _ONE, _TWO]
    samples: dict[str, list[Sample]] = {turn: [] for turn in turns}
    for turn in effort.interleaved(turns, f"{load}-w2"):
        served = two if turn == _TWO else bed
        samples[turn].append(run_load(served, turn if turn == PGBOUNCER else PGJIT, LOADS[load], effort))
    for turn, suffix in ((_ONE, "w1"), (_TWO, "w2")):
        yield from load_figures(f"{load}-{suffix}", ways_of_turn(samples, turn))


def _memory(two: Bed, case: str, number: int, effort: Effort) -> Figure:
    if (why := room_of(two).lack(number)) is not None:
        return Figure(case, "memory", "KiB", {}, why)
    each = 0.0
    try:
        for _ in effort.once([PGJIT], case):
            each = memory_of_each(two, PGJIT, number) / 1024
    except NotOpened as fault:
        return Figure(case, "memory", "KiB", {}, str(fault))
    return Figure(case, "memory", "KiB", {PGJIT: Spread(each, each, each)})
