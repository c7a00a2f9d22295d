"""What the bench measures, by the files of `measures/`.

A *measure* yields figures. Each figure belongs to a *case*, which `--only` chooses. `MEASURES` has the order of a
run: the stalls come behind everything that may cause one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.bed import Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure
from tests.bench.measures import decisions, idle, latency, logins, results, stalls, throughput

__all__ = ["MEASURES"]

MEASURES: dict[str, Callable[[Bed, Effort], Iterator[Figure]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "logins": logins.measure,
    "results": results.measure,
    "decisions": lambda _, effort: decisions.measure(effort),
    "idle": idle.measure,
    "stalls": stalls.measure,
}
