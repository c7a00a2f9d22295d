"""Which name a new worker gets."""

from __future__ import annotations

import fcntl
from pathlib import Path

from pgjit.app.supervisor.worker_names import WorkerNames


def begun(names: WorkerNames, taken: set[str]) -> str:
    name = names.free(taken)
    assert name is not None
    names.begin(name)
    taken.add(name)
    return name


def test_each_worker_has_the_first_name_that_is_free_and_there_are_twice_as_many_as_slots(tmp_path: Path) -> None:
    names, taken = WorkerNames("a", 2, tmp_path / "journal"), set[str]()
    assert [begun(names, taken) for _ in range(4)] == ["a.1", "a.2", "a.3", "a.4"]
    assert names.free(taken) is None


def test_the_name_of_a_worker_that_was_killed_is_given_first_also_by_the_next_supervisor(tmp_path: Path) -> None:
    names = WorkerNames("a", 2, tmp_path)
    taken = set[str]()
    for _ in range(4):
        begun(names, taken)
    for name in ("a.1", "a.2", "a.4"):
        names.ended_in_order(name)
    names.ended_in_order("a.2")
    assert names.free({"a.1"}) == "a.3"
    later = WorkerNames("a", 2, tmp_path)
    assert later.free(set()) == "a.3"
    later.ended_in_order("a.3")
    assert later.free(set()) == "a.1"


def test_a_name_whose_journal_another_process_writes_is_not_free(tmp_path: Path) -> None:
    names = WorkerNames("a", 1, tmp_path)
    (tmp_path / "a.1").mkdir()
    with (tmp_path / "a.1" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names.begin("a.1")
        assert names.free(set()) == "a.2"
    assert names.free(set()) == "a.1"
