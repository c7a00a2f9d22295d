"""The report's page: nothing of the journal is HTML in it."""

from __future__ import annotations

from datetime import UTC, datetime

from pgjit.audit.reading.reader import Rows
from pgjit.audit.reading.report import AuditReport
from pgjit.cli.audit_html import report_page

NOW = datetime(2026, 11, 29, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"' & \u202e\x1b[31m"


def test_texts_are_escaped_in_tables_plots_and_notices() -> None:
    rows = Rows(("who", "rows", HOSTILE), [(HOSTILE, 7, None), ("b", None, [HOSTILE])], more=True)
    page = report_page(AuditReport(NOW, None, NOW, {"rows": rows}, (HOSTILE,)))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "\\u202e\\u001b[31m" in page
    assert "the first 1000" in page


def test_an_empty_part_says_so() -> None:
    assert "<p>None.</p>" in report_page(AuditReport(NOW, NOW, None, {"late": Rows(("a",), [], more=False)}, ()))
