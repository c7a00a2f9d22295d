"""`kill -9` at the steps of requesting, approving, opening, revoking and ending, and what the next run makes of it.

No window is longer than granted, no revocation is passed, every transition is in the journal, and no notification is
lost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.fakes.store_server import StoreServer
from tests.run.processes import finish

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_loses_nothing_and_grants_nothing(every: int, tmp_path: Path) -> None:
    _check(every, tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_node_that_is_killed_leaves_nothing_that_another_one_does_not_end(
    every: int, tmp_path: Path, store_server: StoreServer
) -> None:
    ((folder, port),) = store_server.login().hosts
    _check(every, tmp_path, folder, str(port))


def _check(every: int, folder: Path, *place: str) -> None:
    command: tuple[str | Path, ...] = (sys.executable, "-m", "tests.faults.killed_life", folder, str(every), *place)
    done = finish(*command, cwd=ROOT, seconds=500)
    assert done.status == 0, done.err[-2000:]
    lives = [json.loads(line) for line in done.out.splitlines()]
    assert [life for life in lives if life["faults"]] == []
    *killed, last = lives
    assert {life["status"] for life in killed} == {-9}
    assert last["status"] == 0, "the last one comes to its end"
    assert len(killed) > 90 // every
    print(f"{len(killed)} steps: {sorted({life['place'] for life in killed})}")
