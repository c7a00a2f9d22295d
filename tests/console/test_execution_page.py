"""One execution: what it did, shown apart from what it would have done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.audit_answers import DETAIL, EXECUTION
from tests.console.test_inbox import texts
from tests.console.visits import Visits


@pytest.mark.parametrize(
    ("outcome", "says", "never"),
    [
        ({"ended": "completed"}, "Reads public.customers", "Would have"),
        ({"ended": "refused", "decision": "deny"}, "Would have read public.customers", "Reads public"),
        ({"ended": "failed"}, "Would have read public.customers", "Reads public"),
        ({"ended": "unknown", "decision": "deny"}, "Would have read public.customers", "Reads public"),
        # A policy in another mode lets it run: its rules refuse it, and it has read all the same.
        ({"ended": "completed", "decision": "deny"}, "Reads public.customers", "Would have"),
    ],
)
async def test_only_a_statement_that_ran_has_read(
    outcome: dict[str, str], says: str, never: str, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["execution"] = {
            **DETAIL,
            "execution": {**EXECUTION, "rules": ["write-scope"], **outcome},
        }
        page = texts((await ana.get("/audit/executions/abc/3")).text)
        assert says in page
        assert never not in page


async def test_a_window_that_is_over_was_to_end_later(tmp_path: Path) -> None:
    times = {"ends_at": "2026-11-24T08:30:00.000000Z", "ended_at": "2026-11-24T08:10:00.000000Z"}
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["execution"] = {**DETAIL, "window": {**DETAIL["window"], **times}}
        over = texts((await ana.get("/audit/executions/abc/3")).text)
        assert "Was to end 08:30:00" in over
        assert "Ended 08:10:00" in over
        visits.audit.answers["execution"] = {**DETAIL, "window": {**DETAIL["window"], "ends_at": times["ends_at"]}}
        assert "Ends 08:30:00" in texts((await ana.get("/audit/executions/abc/3")).text)
