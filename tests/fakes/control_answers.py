"""The answers of a server to control queries: its identity, and whether a backend is present.

reply = answer_control(query, present=lambda pid: True, terminate=lambda pid: None)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgwire.messages.query import command_complete
from pgwire.messages.results import encode_data_row
from tests.fakes.scripted_server import READY, Step, expect, send

__all__ = ["INSTANCE", "PROCESS", "answer_control", "identified", "instance_row", "requests", "row", "sighting"]

BEGAN = "2026-11-24T09:00:00.000000"
STARTED = "2026-11-24T09:30:00.123456"
ROLE = 16384
INSTANCE = ServerInstance(
    system="7713", started=datetime(2026, 11, 24, 9, tzinfo=UTC), timeline="00000001", endpoint="10.0.0.1:5432"
)
PROCESS = ServerProcess(
    pid=4711, started=datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC), role=ROLE, instance=INSTANCE
)


def row(*values: str | None) -> bytes:
    """The whole answer to a query: one row."""
    return _row(*values) + command_complete("SELECT 1") + READY


def _row(*values: str | None) -> bytes:
    return encode_data_row(tuple(None if value is None else value.encode() for value in values))


def instance_row(instance: ServerInstance = INSTANCE) -> Sequence[str | None]:
    started = instance.started.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return instance.system, started, instance.timeline, "t" if instance.standby else "f", instance.endpoint


def sighting(present: bool, terminated: bool = False, instance: ServerInstance = INSTANCE) -> bytes:
    return row(*instance_row(instance), str(int(present)), str(int(terminated)))


def identified(instance: ServerInstance = INSTANCE) -> list[Step]:
    """Answer the first queries of a control connection: its rights, and the identity of the server."""
    return [expect("Q"), send(row("t", "t")), expect("Q"), send(sighting(False, instance=instance))]


def answer_control(
    query: str,
    *,
    present: Callable[[int], bool],
    terminate: Callable[[int], None] = lambda _: None,
    cancel: Callable[[int], None] = lambda _: None,
    instance: ServerInstance = INSTANCE,
    started: str = STARTED,
) -> bytes:
    if "has_function_privilege" in query:
        return row("t", "t")
    if "a.usesysid " in query and "count(*)" not in query:
        match = re.search(r"pid = (\d+)", query)
        assert match is not None, query
        exists = present(int(match[1]))
        return row(*instance_row(instance), started, str(ROLE)) if exists else command_complete("SELECT 0") + READY
    signals = {"terminate": terminate, "cancel": cancel}
    rows = []
    for pid, signal in requests(query):
        exists = pid != 0 and present(pid)
        if signalled := exists and signal in signals:
            signals[signal](pid)
        rows.append(_row(*instance_row(instance), str(int(exists)), str(int(signalled))))
    return b"".join(rows) + command_complete(f"SELECT {len(rows)}") + READY


def requests(query: str) -> list[tuple[int, str]]:
    """Process id and signal of each request in a query for signals."""
    pids, signals = (re.search(rf"'{{([^}}]*)}}'::{kind}\[]", query) for kind in ("integer", "text"))
    assert pids is not None, query
    assert signals is not None, query
    return list(zip(map(int, pids[1].split(",")), signals[1].split(","), strict=True))
