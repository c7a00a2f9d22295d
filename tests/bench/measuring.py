"""What the bench measures, by the files of `measures/`.

A *measure* yields figures. Each figure belongs to a *case*, which `--only` chooses. `MEASURES` has the order of a
run: the stalls come behind everything that may cause one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.bench.bed import Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure
from tests.bench.measures import decisions, idle, latency, logins, pages, results, stalls, throughput, workers

__all__ = ["MEASURES", "Measure", "cases_of"]


@dataclass(frozen=True)
class Measure:
    cases: Callable[[Effort], Iterable[str]]
    run: Callable[[Bed, Effort], Iterator[Figure]]


MEASURES: dict[str, Measure] = {
    "throughput": Measure(lambda _: throughput.LOADS, throughput.measure),
    "latency": Measure(lambda _: latency.CASES, latency.measure),
    "logins": Measure(lambda _: logins.CASES, logins.measure),
    "results": Measure(lambda _: results.CASES, results.measure),
    "decisions": Measure(lambda _: decisions.CASES, lambda _, effort: decisions.measure(effort)),
    "workers": Measure(workers.cases, workers.measure),
    "pages": Measure(lambda _: pages.CASES, pages.measure),
    "idle": Measure(idle.cases, idle.measure),
    "stalls": Measure(lambda _: stalls.CASES, stalls.measure),
}


def cases_of(effort: Effort) -> list[str]:
    """All that there are, also those that are not chosen."""
    return [case for measure in MEASURES.values() for case in measure.cases(effort)]
