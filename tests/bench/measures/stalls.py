"""The longest stall of pgjit's event loop: over all that this run did before, and under hostile statements.

Every stall is measured twice: by the clock, and by the CPU time that the loop's thread used. Where other processes
keep the machine busy, the clock also counts their turns.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import pq
from psycopg.pq import abc

from tests.bench.bed import PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, Spread
from tests.bench.hostile import statements
from tests.bench.watched import read_stall, reset_stall

__all__ = ["CASES", "measure"]

CASES = ("stall", "stall-hostile")


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    if effort.chosen(["stall"]):
        yield from _longest(bed, "stall")
    for case in effort.chosen(["stall-hostile"]):
        reset_stall(bed.pgjit.stall)
        for _ in effort.once([PGJIT], case):
            _send(bed, list(statements())[:: effort.hostile])
        yield from _longest(bed, case)


def _longest(bed: Bed, case: str) -> Iterator[Figure]:
    for name, value in zip(("longest", "longest CPU"), read_stall(bed.pgjit.stall), strict=True):
        yield Figure(case, name, "ms", {PGJIT: Spread(value, value, value)})


def _send(bed: Bed, texts: list[str]) -> None:
    """As a query and as a prepared statement. What is answered does not matter here."""
    settings = bed.environment(PGJIT)
    place = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "password": "PGPASSWORD"}
    conninfo = (
        " ".join(f"{key}='{settings[name]}'" for key, name in place.items())
        + " sslmode=require options='-c pgjit.notices=off'"
    )
    connection: abc.PGconn | None = None
    for text in texts:
        for prepared in (False, True):
            if connection is None or connection.status != pq.ConnStatus.OK:
                connection = pq.PGconn.connect(conninfo.encode())
            sql = text.encode()
            connection.prepare(b"", sql) if prepared else connection.exec_(sql)
    if connection is not None:
        connection.finish()
