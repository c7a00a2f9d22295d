"""What a server says to a control connection: which run of which server it is, and whether a backend is there.

reply = answer_control(question, there=lambda pid: True, terminate=lambda pid: None)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgwire.messages.query import command_complete
from pgwire.messages.results import encode_data_row
from tests.fakes.scripted_server import READY, Step, expect, send

__all__ = ["HERE", "PROCESS", "answer_control", "instance_row", "introduced", "row", "seen"]

BEGAN = "2026-11-24T09:00:00.000000"
STARTED = "2026-11-24T09:30:00.123456"
ROLE = 16384
HERE = ServerInstance(
    system="7713", started=datetime(2026, 11, 24, 9, tzinfo=UTC), timeline="00000001", endpoint="10.0.0.1:5432"
)
PROCESS = ServerProcess(
    pid=4711, started=datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC), role=ROLE, instance=HERE
)


def row(*values: str | None) -> bytes:
    """The whole answer to a question: one row."""
    encoded = tuple(None if value is None else value.encode() for value in values)
    return encode_data_row(encoded) + command_complete("SELECT 1") + READY


def instance_row(instance: ServerInstance = HERE) -> Sequence[str | None]:
    started = instance.started.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return instance.system, started, instance.timeline, "t" if instance.standby else "f", instance.endpoint


def seen(there: bool, terminated: bool = False, instance: ServerInstance = HERE) -> bytes:
    return row(*instance_row(instance), str(int(there)), str(int(terminated)))


def introduced(instance: ServerInstance = HERE) -> list[Step]:
    """A control connection that has just logged in asks what it may read, and where it is."""
    return [expect("Q"), send(row("t", "t")), expect("Q"), send(seen(False, instance=instance))]


def answer_control(
    question: str,
    *,
    there: Callable[[int], bool],
    terminate: Callable[[int], None] = lambda _: None,
    instance: ServerInstance = HERE,
    started: str = STARTED,
) -> bytes:
    if "has_function_privilege" in question:
        return row("t", "t")
    found = re.search(r"pid = (\d+)", question)
    assert found is not None, question
    pid = int(found[1])
    present = pid != 0 and there(pid)
    if "a.usesysid " in question and "count(*)" not in question:
        return row(*instance_row(instance), started, str(ROLE)) if present else command_complete("SELECT 0") + READY
    terminates = "pg_terminate_backend" in question and present
    if terminates:
        terminate(pid)
    return seen(present, terminates, instance)
