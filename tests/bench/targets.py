"""The targets: which figure pgjit has to reach, as a ratio of the same run where a ratio is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.bed import DIRECT, PGBOUNCER, PGJIT
from tests.bench.figures import Figure

__all__ = ["TARGETS", "Target", "Verdict", "verdicts"]

_Found = dict[tuple[str, str], Figure]


@dataclass(frozen=True)
class Target:
    name: str
    bound: float
    at_least: bool
    unit: str
    value: Callable[[_Found], float | str | None]
    """The figure; a text is why it was not measured; None: not in this run."""

    @property
    def wanted(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}{self.unit}"


@dataclass(frozen=True)
class Verdict:
    target: Target
    value: float | None
    """None: what it needs was not measured."""
    why: str = ""
    """why it was not measured, if that is known"""

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.target.bound if self.target.at_least else self.value <= self.target.bound

    @property
    def word(self) -> str:
        return {True: "met", False: "NOT MET", None: "not measured"}[self.met]

    @property
    def long_word(self) -> str:
        return f"{self.word}, because {self.why}" if self.why else self.word


def verdicts(figures: Sequence[Figure]) -> Iterator[Verdict]:
    found = {(figure.case, figure.name): figure for figure in figures}
    for target in TARGETS:
        value = target.value(found)
        yield Verdict(target, None, value) if isinstance(value, str) else Verdict(target, value)


def _ratio(case: str, name: str, of: str = PGJIT, to: str = PGBOUNCER) -> Callable[[_Found], float | str | None]:
    def value(found: _Found) -> float | str | None:
        figure = found.get((case, name))
        return None if figure is None else figure.why or figure.ratio(of, to)

    return value


def _absolute(case: str, name: str) -> Callable[[_Found], float | str | None]:
    def value(found: _Found) -> float | str | None:
        figure = found.get((case, name))
        return None if figure is None else figure.why or figure.ways[PGJIT].median

    return value


def _made_ahead(found: _Found) -> float | None:
    """The time of a login with connections made ahead, as a share of the time of a direct one."""
    warm, login = found.get(("login-warm", "p50")), found.get(("login", "p50"))
    if warm is None or login is None or DIRECT not in login.ways:
        return None
    return warm.ways[PGJIT].median / login.ways[DIRECT].median


TARGETS = (
    Target("throughput, prepared, 8 clients", 0.90, True, "", _ratio("prepared-8", "transactions")),
    Target("throughput, prepared, 32 clients", 0.90, True, "", _ratio("prepared-32", "transactions")),
    Target("throughput, unique literals, 8 clients", 0.75, True, "", _ratio("unique-8", "transactions")),
    Target("CPU a transaction, prepared, 8 clients", 1.5, False, "x", _ratio("prepared-8", "CPU")),
    Target("latency added to one client, p50", 1.2, False, "x", _ratio("latency", "p50 added")),
    Target("latency added to one client, p99", 1.2, False, "x", _ratio("latency", "p99 added")),
    Target("500 k rows, SELECT, time", 1.0, False, "x", _ratio("rows-text", "time")),
    Target("500 k rows, SELECT in binary, time", 1.0, False, "x", _ratio("rows-binary", "time")),
    Target("500 k rows, COPY out, time", 1.0, False, "x", _ratio("copy-out", "time")),
    Target(
        "connect, login, query: time of direct's", 1.3, False, "x", _ratio("connect-4", "transactions", DIRECT, PGJIT)
    ),
    Target("login and query, connections made ahead", 0.5, False, "x", _made_ahead),
    Target("memory of an idle session, of 1,000", 40, False, " KiB", _absolute("idle-1000", "memory")),
    Target("memory of an idle session, of 5,000", 40, False, " KiB", _absolute("idle-5000", "memory")),
    Target("decision, cached", 1, False, " µs", _absolute("decision-hit", "time")),
    Target("decision, small new text", 25, False, " µs", _absolute("decision-small", "time")),
    Target("decision, medium new text", 150, False, " µs", _absolute("decision-medium", "time")),
    Target("event-loop stall over the benchmark", 50, False, " ms", _absolute("stall", "longest CPU")),
    Target("event-loop stall, hostile statements", 50, False, " ms", _absolute("stall-hostile", "longest CPU")),
)
