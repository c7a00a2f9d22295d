"""Memory of the proxy for each idle session, while many are open at once. Reports why they do not fit."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

from tests.bench.accounting import memory_bytes
from tests.bench.bed import DIRECT, PGBOUNCER, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, Spread
from tests.bench.pgbouncer import close_server_connections
from tests.bench.postgres import ROLE
from tests.bench.room import OTHER_SESSIONS, room_of
from tests.run.processes import own

__all__ = ["NotOpened", "cases", "measure", "memory_of_each"]

_ROOT = Path(__file__).parents[3]
_SECONDS = 60
_PAUSE = 0.2


class NotOpened(Exception):
    """So many sessions could not be opened. The text has the reason."""


def cases(effort: Effort) -> dict[str, int]:
    """How many sessions each case has."""
    return {f"idle-{number}": number for number in effort.sessions}


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    for case in effort.chosen(cases(effort)):
        yield _figure(bed, case, cases(effort)[case], effort)


def _figure(bed: Bed, case: str, number: int, effort: Effort) -> Figure:
    ways: dict[str, Spread] = {}
    try:
        for way in effort.once([way for way in bed.ways if way != DIRECT], case):
            if (why := room_of(bed).lack(number)) is not None:
                return Figure(case, "memory", "KiB", {}, why)
            each = memory_of_each(bed, way, number) / 1024
            ways[way] = Spread(each, each, each)
    except NotOpened as fault:
        return Figure(case, "memory", "KiB", {}, str(fault))
    return Figure(case, "memory", "KiB", ways)


def memory_of_each(bed: Bed, way: str, number: int) -> float:
    """Bytes, with one session open before: what all sessions share is not counted. Raises NotOpened.

    Afterwards the server has no session of them: another proxy may open as many.
    """
    group = bed.group(way)
    assert group is not None
    try:
        with _held(bed, way, 1):
            before = memory_bytes(group)
            with _held(bed, way, number):
                return (memory_bytes(group) - before) / number
    finally:
        _await_few(bed)


@contextmanager
def _held(bed: Bed, way: str, number: int) -> Iterator[None]:
    """So many sessions are open inside the block."""
    command = (sys.executable, "-m", "tests.bench.sessions", str(number))
    with (  # libpq prints a notice for each login: a pipe that nobody reads would be full
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        own(*command, stdin=PIPE, stderr=errors.fileno(), env=bed.environment(way), cwd=_ROOT) as process,
    ):
        assert process.stdout is not None
        if process.stdout.readline().strip() != "open":
            process.wait(_SECONDS)
            errors.seek(0)
            fault = " ".join(errors.read().split())
            raise NotOpened(f"in the way `{way}` {fault[-300:] or 'no session could be opened'}")
        yield


def _await_few(bed: Bed) -> None:
    """pgbouncer keeps the server's sessions when its clients have left: it closes them now."""
    if PGBOUNCER in bed.ways:
        close_server_connections(bed.environment(PGBOUNCER))
    until = time.monotonic() + _SECONDS
    while _sessions(bed) > OTHER_SESSIONS:
        if time.monotonic() > until:
            raise NotOpened(f"the server still has {_sessions(bed)} sessions of the case before")
        time.sleep(_PAUSE)


def _sessions(bed: Bed) -> int:
    return int(bed.postgres.superuser(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'"))
