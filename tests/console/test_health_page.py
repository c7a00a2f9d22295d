"""Health: each check with what was seen; what is not known is not shown as if it were."""

from __future__ import annotations

from pathlib import Path

from pgjit.api.readiness import CheckResult, ReadinessBoard, ReadinessCheck
from tests.api.people import NOW
from tests.console.visits import Visits

CHECKS = [
    ReadinessCheck("journal", lambda: CheckResult.of(known="accepts <b>records</b>")),
    ReadinessCheck("connection/shop", lambda: CheckResult.of(warns=True, known="refused \u202e", hint="is it up?")),
]


async def test_checks_are_shown_and_read_again(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        visits.use(readiness=ReadinessBoard(lambda: CHECKS, lambda: NOW).asked)
        auditor = await visits.of("auditor")
        page = await auditor.get("/health")
        part = await auditor.get("/health/checks")
        for each in (page, part):
            assert each.status_code == 200
            assert "accepts &lt;b&gt;records&lt;/b&gt;" in each.text
            assert "refused <span" in each.text
            assert "is it up?" in each.text
            assert "not ok: connection/shop" in each.text
        assert "<html" not in part.text
        assert "/static/refresh.js" in page.text


async def test_what_the_page_reads_by_itself_does_not_keep_a_sign_in_alive(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        auditor = await visits.of("auditor")
        [before] = [each.seen_at for each in visits.sign_ins.sign_ins.values()]
        visits.now = NOW.replace(minute=10)
        assert (await auditor.get("/health/checks")).status_code == 200
        assert [each.seen_at for each in visits.sign_ins.sign_ins.values()] == [before]


async def test_a_node_that_is_starting_says_that_nothing_is_known(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        visits.use(readiness=lambda: None)
        page = await (await visits.of("admin")).get("/health")
        assert page.status_code == 200
        assert "Health is not known now" in page.text
