"""Whether so many sessions fit is known before they are opened, with what is too small."""

from __future__ import annotations

import pytest

from tests.bench.effort import FULL
from tests.bench.postgres import CONNECTIONS
from tests.bench.room import Room

ROOMY = Room(connections=CONNECTIONS, files=2**20, memory=2**40)


def test_the_server_of_the_bench_takes_the_sessions_of_a_full_run() -> None:
    assert [ROOMY.lack(number) for number in FULL.sessions] == [None, None]


@pytest.mark.parametrize(
    ("room", "why"),
    [
        (ROOMY._replace(connections=5_000), "the server takes 5000 sessions"),
        (
            ROOMY._replace(files=1_024),
            "5000 may need 15348 open files, and a process may have 1024 (`ulimit -Hn`)",
        ),
        (
            ROOMY._replace(memory=2**30),
            "the server may need 15000 MiB for 5000, and 1024 MiB are available",
        ),
    ],
)
def test_what_is_too_small_is_named(room: Room, why: str) -> None:
    assert room.lack(5_000) == why
