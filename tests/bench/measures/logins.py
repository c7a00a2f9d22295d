"""How long a client waits that connects and runs a query; also with connections that are made ahead (`warm`)."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bed import PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, spread
from tests.bench.served import run_served
from tests.run.processes import finish

__all__ = ["CASES", "measure"]

CASES = ("login", "login-warm")
_ROOT = Path(__file__).parents[3]
_WARM = 4
_SECONDS = 600


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    for case in effort.chosen(["login"]):
        medians: dict[str, list[float]] = {way: [] for way in bed.ways}
        for way in effort.interleaved(bed.ways, case):
            medians[way].append(_median(bed.environment(way), effort.logins))
        yield Figure(case, "p50", "ms", {way: spread(values) for way, values in medians.items()})
    for case in effort.chosen(["login-warm"]):
        server = bed.postgres
        place = str(server.socket_dir), server.port, server.password
        with run_served(bed.folder / "warm", bed.certificates, *place, warm=_WARM) as served:
            environment = bed.environment(PGJIT) | {"PGPORT": str(served.port), "PGPASSWORD": served.token}
            rounds = [_median(environment, effort.logins) for _ in effort.interleaved((PGJIT,), case)]
        yield Figure(case, "p50", "ms", {PGJIT: spread(rounds)})


def _median(environment: dict[str, str], number: int) -> float:
    command = (sys.executable, "-m", "tests.bench.logins", str(number))
    done = finish(*command, seconds=_SECONDS, env=environment, cwd=_ROOT)
    if done.status != 0:
        raise SystemExit(f"bench: no login: {done.err[-2000:]}")
    took: list[float] = json.loads(done.out)
    return statistics.median(took)
