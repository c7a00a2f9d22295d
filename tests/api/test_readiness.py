"""One answer from named checks: what is known of each, and since when."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.api.readiness import CheckResult, CheckState, ReadinessBoard, ReadinessCheck

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
OK, WARNING, FAILED = CheckState


class Checked:
    """A board over two checks whose results a test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked = 0
        self.results = {"journal": CheckResult.of(known="7 bytes"), "store": CheckResult.of(known="works")}
        checks = [ReadinessCheck(name, lambda name=name: self.results[name]) for name in self.results]  # type: ignore[misc]
        self.board = ReadinessBoard(lambda: checks, lambda: self.now, self.before)

    def before(self) -> None:
        self.asked += 1


def test_a_node_is_ready_with_warnings_and_not_with_a_failure() -> None:
    checked = Checked()
    assert checked.board.asked().document == {
        "status": "ready", "checks": {"journal": True, "store": True}, "warnings": [],
    }  # fmt: skip
    checked.results["journal"] = CheckResult.of(warns=True, known="7 bytes are little", hint="Make room.")
    report = checked.board.asked()
    assert (report.ready, report.warnings) == (True, ["journal: 7 bytes are little"])
    checked.results["store"] = CheckResult.of(failed=True, warns=True, known="gone", hint="Bring it back.")
    assert checked.board.asked().document == {
        "status": "not ready",
        "checks": {"journal": True, "store": False},
        "warnings": ["journal: 7 bytes are little"],
    }
    assert checked.asked == 3


def test_the_text_is_that_of_kubernetes_with_the_reason_and_the_hint() -> None:
    checked = Checked()
    checked.board.look()
    checked.now += timedelta(seconds=5)
    checked.results["store"] = CheckResult.of(failed=True, known="gone", hint="Bring it back.")
    checked.board.look()
    checked.now += timedelta(seconds=7)
    checked.results["store"] = CheckResult.of(failed=True, known="still gone", hint="Bring it back.")
    report = checked.board.asked(["nothing", "nothing"])
    assert report.text == (
        "[+]journal ok: 7 bytes\n"
        "[-]store failed: still gone\n"
        "   since 2026-11-29T10:00:05Z; Bring it back.\n"
        "[!]exclude warning: no check has the name nothing\n"
        "readyz check failed\n"
    )
    assert report.verbose_document == {
        "status": "not ready",
        "checks": {
            "journal": {"state": "ok", "known": "7 bytes", "since": "2026-11-29T10:00:00Z"},
            "store": {
                "state": "failed", "known": "still gone", "since": "2026-11-29T10:00:05Z", "hint": "Bring it back.",
            },
        },
        "warnings": ["no check has the name nothing, so it cannot be excluded"],
    }  # fmt: skip


def test_an_excluded_check_does_not_count_for_who_excludes_it() -> None:
    checked = Checked()
    checked.results["store"] = CheckResult.of(failed=True, known="gone")
    assert checked.board.asked(["store"]).ready
    assert "store" not in checked.board.asked(["store"]).text
    assert not checked.board.asked().ready


def test_what_cannot_be_looked_at_does_not_count_as_good(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> CheckResult:
        raise KeyError("secret")

    board = ReadinessBoard(lambda: [ReadinessCheck("broken", fails)], lambda: NOW)
    [seen] = board.look().checks
    assert (seen.result.state, seen.result.known) == (FAILED, "it could not be looked at: KeyError")
    assert "readiness check broken failed" in caplog.text


def test_the_log_has_each_change_once(caplog: pytest.LogCaptureFixture) -> None:
    checked = Checked()
    with caplog.at_level(logging.INFO, "pgjit.readiness"):
        for failed in ((), (), ("store",), ("store",), ("store", "journal"), (), ()):
            for name in checked.results:
                checked.results[name] = CheckResult.of(failed=name in failed, known=f"{name} {len(failed)}")
            checked.board.look()
    assert [record.message for record in caplog.records] == [
        "this node is ready",
        "this node is not ready: store: store 1",
        "this node is not ready: journal: journal 2; store: store 2",
        "this node is ready",
    ]
