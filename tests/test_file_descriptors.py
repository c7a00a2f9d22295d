"""How many clients there is room for."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from pgjit.api.serving import CONNECTIONS
from pgjit.file_descriptors import descriptors_for, room

PROGRAM = """
import resource
from pgjit.file_descriptors import raise_limit, room, shortage
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
print(raise_limit({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0], shortage({connections}, 2))
"""


@pytest.mark.parametrize("http_api", [False, True])
@pytest.mark.parametrize("connections", [1, 50, 500, 100_000])
def test_where_there_are_enough_all_of_them_are_served(connections: int, http_api: bool) -> None:
    needed = descriptors_for(connections, 2, http_api=http_api)
    assert room(connections, 2, needed, http_api=http_api) == connections
    assert room(connections, 2, needed - 3, http_api=http_api) == max(1, connections - 1)


def test_clients_leave_the_http_api_its_descriptors() -> None:
    assert descriptors_for(500, 2, http_api=True) - descriptors_for(500, 2) == CONNECTIONS


def test_there_is_always_room_for_one() -> None:
    assert room(500, 10, 64) == 1


@pytest.mark.live
@pytest.mark.parametrize(
    ("hard", "wanted", "limit", "told"),
    [(4096, 1676, 1676, None), (1024, 1676, 1024, "282 connections are served"), (1024, 200, 256, "282")],
)
def test_the_limit_is_raised_as_far_as_the_system_lets_it(
    hard: int, wanted: int, limit: int, told: str | None
) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 4096
    program = PROGRAM.format(hard=hard, wanted=wanted, connections=500)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    first, second, rest = done.stdout.split(maxsplit=2)
    assert (int(first), int(second)) == (limit, limit)
    assert (told or "None") in rest
