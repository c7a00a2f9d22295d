"""What `GET health` says: the checks of `/readyz?verbose`, or that nothing is known yet."""

from __future__ import annotations

from pathlib import Path

from pgjit.api.readiness import CheckResult, ReadinessBoard, ReadinessCheck
from tests.api.people import NOW, People

CHECKS = [
    ReadinessCheck("journal", lambda: CheckResult.of(known="accepts records")),
    ReadinessCheck("store", lambda: CheckResult.of(failed=True, known="its last use failed", hint="see the log")),
]


async def test_health_is_what_the_admin_port_knows(tmp_path: Path) -> None:
    board = ReadinessBoard(lambda: CHECKS, lambda: NOW)
    async with People(tmp_path) as api:
        api.use(readiness=board.asked)
        answer = await api.get("health", "auditor")
        assert answer.status_code == 200
        assert answer.json() == {
            "node": "n1", "version": "0.0.0", "status": "not ready", "warnings": [],
            "checks": [
                {"name": "journal", "state": "ok", "known": "accepts records", "since": "2026-11-24T09:00:00Z",
                 "hint": None},
                {"name": "store", "state": "failed", "known": "its last use failed", "since": "2026-11-24T09:00:00Z",
                 "hint": "see the log"},
            ],
        }  # fmt: skip
        assert api.calls() == []


async def test_before_the_node_has_started_nothing_is_known(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.use(readiness=lambda: None)
        refused = await api.get("health", "admin")
        assert (refused.status_code, refused.json()["reference"]) == (503, "health-unknown")
