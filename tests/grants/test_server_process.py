"""What a look proves of a process: something of the server that it was made on, and of no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.grants.server_process import ProcessSighting, ProcessStatus, ServerInstance, ServerProcess, process_status

BEGAN = datetime(2026, 11, 24, 9, tzinfo=UTC)
HERE = ServerInstance(system="7713", started=BEGAN, timeline="00000001", endpoint="10.0.0.1:5432")
PROCESS = ServerProcess(pid=4711, started=BEGAN + timedelta(minutes=30), role=16384, instance=HERE)
LATER = replace(HERE, started=BEGAN + timedelta(hours=1))

CASES: list[tuple[str, ServerInstance, bool, ProcessStatus]] = [
    # who answers, as what, whether the server had closed the session's link, what it proves where no process is seen
    ("the same run", HERE, False, "gone"),
    ("the same run, reached by another address", replace(HERE, endpoint="10.0.0.2:5432"), False, "gone"),
    ("the same run, promoted since", replace(HERE, timeline="00000002"), False, "gone"),
    ("after a restart", LATER, True, "restarted"),
    ("after a restart that cut no link", LATER, False, "restarted"),
    ("after a restart at another address", replace(LATER, endpoint="10.0.0.2:5432"), True, "restarted"),
    ("a copy elsewhere, links still up", replace(LATER, endpoint="10.0.0.2:5432"), False, "elsewhere"),
    ("a copy whose address is not known, links still up", replace(LATER, endpoint=None), False, "elsewhere"),
    ("what was promoted", replace(LATER, timeline="00000002"), True, "elsewhere"),
    ("a standby of it", replace(LATER, standby=True, timeline=None), True, "elsewhere"),
    ("another system", replace(LATER, system="9999"), True, "elsewhere"),
    ("another system that is older", replace(HERE, system="9999"), True, "elsewhere"),
    ("an earlier run", replace(HERE, started=BEGAN - timedelta(hours=1)), True, "elsewhere"),
    ("one that does not say its system", replace(LATER, system=None), True, "elsewhere"),
]


@pytest.mark.parametrize(("who", "answers", "lost", "expected"), CASES, ids=[case[0] for case in CASES])
def test_only_its_own_server_proves_that_a_process_is_gone(
    who: str, answers: ServerInstance, lost: bool, expected: ProcessStatus
) -> None:
    assert process_status(PROCESS, ProcessSighting(instance=answers, there=False), link_lost=lost) == expected
    still = "there" if expected == "gone" else expected
    assert process_status(PROCESS, ProcessSighting(instance=answers, there=True), link_lost=lost) == still


@pytest.mark.parametrize("lost", [True, False])
def test_without_a_system_identifier_a_restart_proves_nothing_and_the_same_run_does(lost: bool) -> None:
    nameless = replace(PROCESS, instance=replace(HERE, system=None))
    assert (
        process_status(nameless, ProcessSighting(instance=replace(LATER, system=None), there=False), link_lost=lost)
        == "elsewhere"
    )
    assert (
        process_status(nameless, ProcessSighting(instance=replace(HERE, system=None), there=False), link_lost=lost)
        == "gone"
    )
