"""How long a client waits for a big result, and how much CPU of the proxy that takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.accounting import cpu_seconds
from tests.bench.bed import DIRECT, PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, spread
from tests.run.processes import finish

__all__ = ["CASES", "measure"]

CASES = {
    "rows-text": ("text", "SELECT * FROM big"),
    "rows-binary": ("binary", "SELECT * FROM big"),
    "copy-out": ("copy", "COPY (SELECT * FROM big) TO STDOUT"),
    "row-64MiB": ("text", "SELECT body FROM large"),
}
_ROOT = Path(__file__).parents[3]
_SECONDS = 600
_BIG = """
CREATE TABLE big AS
  SELECT g id, md5(g::text) a, repeat('x', 40) b, g * 1.5 c, now() t FROM generate_series(1, {rows}) g;
ALTER TABLE big OWNER TO bench;
ANALYZE big;
"""
_LARGE = """
CREATE TABLE large (body text);
ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
INSERT INTO large SELECT repeat('x', {size}) FROM generate_series(1, 2);
ALTER TABLE large OWNER TO bench;
"""


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    cases = effort.chosen(CASES)
    if cases:
        bed.postgres.superuser(_BIG.format(rows=effort.rows) + _LARGE.format(size=effort.row_bytes))
        _fetch(bed, PGJIT, "text", "SELECT id FROM big LIMIT 1")  # pgjit finds the new tables in the catalog
    for case in cases:
        took: dict[str, list[float]] = {way: [] for way in bed.ways}
        used: dict[str, list[float]] = {way: [] for way in bed.ways}
        for way in effort.interleaved(bed.ways, case):
            group = bed.group(way)
            begun = cpu_seconds(group) if group else 0.0
            took[way].append(_fetch(bed, way, *CASES[case]))
            used[way].append(cpu_seconds(group) - begun if group else 0.0)
        yield Figure(case, "time", "ms", {way: spread([1000 * each for each in took[way]]) for way in bed.ways})
        proxies = [way for way in bed.ways if way != DIRECT]
        yield Figure(case, "CPU", "ms", {way: spread([1000 * each for each in used[way]]) for way in proxies})


def _fetch(bed: Bed, way: str, how: str, sql: str) -> float:
    command = (sys.executable, "-m", "tests.bench.fetch", how, sql)
    done = finish(*command, seconds=_SECONDS, env=bed.environment(way), cwd=_ROOT)
    if done.status != 0:
        raise SystemExit(f"bench: no result in the way `{way}`: {done.err[-2000:]}")
    return float(done.out)
