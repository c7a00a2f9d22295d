"""Throughput and CPU for each transaction: pgbench's own scripts, and statements that caches know or do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.bed import DIRECT, PGBOUNCER, PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, spread
from tests.bench.load import Load, Sample, run_load

__all__ = ["LOADS", "load_figures", "measure", "ways_of_turn", "write_scripts"]

_SIMPLE = ("-S", "-M", "simple")
_REPEATED = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;\n"
# pgbench's own script of `-S` has a literal of its own in each statement under the simple protocol.
LOADS = {
    "prepared-1": Load(("-S", "-M", "prepared"), 1),
    "prepared-8": Load(("-S", "-M", "prepared"), 8),
    "prepared-32": Load(("-S", "-M", "prepared"), 32),
    "extended-1": Load(("-S", "-M", "extended"), 1),
    "extended-8": Load(("-S", "-M", "extended"), 8),
    "extended-32": Load(("-S", "-M", "extended"), 32),
    "unique-1": Load(_SIMPLE, 1),
    "unique-8": Load(_SIMPLE, 8),
    "unique-32": Load(_SIMPLE, 32),
    "repeated-8": Load(("-f", "repeated.sql", "-M", "simple"), 8),
    "tpcb-8": Load(("-b", "tpcb-like", "-M", "prepared"), 8, "bench-write"),
    "connect-4": Load(("-S", "-C", "-M", "simple"), 4, connects=True),
}
"""`unique`: each statement is a text of its own. `repeated`: always the same. `connect`: connect, query, close."""


def write_scripts(folder: Path) -> None:
    """pgbench runs in that folder."""
    (folder / "repeated.sql").write_text(_REPEATED)


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    write_scripts(bed.folder)
    for case in effort.chosen(LOADS):
        load = LOADS[case]
        samples: dict[str, list[Sample]] = {way: [] for way in bed.ways}
        for way in effort.interleaved(bed.ways, case):
            samples[way].append(run_load(bed, way, load, effort))
        yield from load_figures(case, samples)


def load_figures(case: str, samples: Mapping[str, Sequence[Sample]]) -> Iterator[Figure]:
    """`samples`: of each way. CPU is that of a proxy."""
    rates = {way: spread([each.rate for each in of]) for way, of in samples.items()}
    used = {way: spread([each.cpu for each in of]) for way, of in samples.items() if way != DIRECT}
    yield Figure(case, "transactions", "/s", rates)
    yield Figure(case, "CPU", "µs", used)


def ways_of_turn(samples: Mapping[str, Sequence[Sample]], turn: str) -> dict[str, Sequence[Sample]]:
    """Where pgjit is measured in several turns: one of them is its way, next to that of pgbouncer."""
    beside = {PGBOUNCER: samples[PGBOUNCER]} if PGBOUNCER in samples else {}
    return {**beside, PGJIT: samples[turn]}
