"""Proof: the state of the journals, a verification with its progress and result, the proof of a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgjit.api.refusals import CallRefused
from tests.console.audit_answers import HOSTILE, assert_text_only
from tests.console.visits import Visits
from tests.fakes.journal_proofs import STATE

DONE: dict[str, Any] = {
    "state": "done", "begun_at": "2026-11-24T08:00:00+00:00", "ended_at": "2026-11-24T08:00:30+00:00", "by": "ana",
    "read": 4096, "of": 4096, "notices": [],
}  # fmt: skip
RESULT: dict[str, Any] = {
    "origin": "n1/0/abcdefgh", "intact": True, "lines": 120, "segments": 2, "removed": 0, "checkpoints": 9,
    "signed": 118, "witnessed": [], "findings": [],
}  # fmt: skip


async def test_the_state_of_each_journal_is_shown_and_recorded(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.proofs.items = [
            STATE,
            {**STATE, "origin": "n1/1/other", "fault": "the newest checkpoint does not count"},
        ]
        page = await ana.get("/proof")
        assert page.status_code == 200, page.text
        for text in (
            "n1/0/abcdefgh",
            "118 lines",
            "2 lines",
            "the newest checkpoint does not count",
            "not verified here",
        ):
            assert text in page.text
        assert '<option value="n1/1/other">' in page.text  # the number of a record is one journal's
        assert visits.calls()[-1] == ("auditor", "auditor", "GET", "/audit/journals")


async def test_a_verification_is_begun_once_and_shows_its_progress(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        begun = await ana.post("/proof/verification")
        assert (begun.status_code, begun.headers["location"]) == (303, "/proof")
        visits.proofs.state |= {"read": 30, "of": 120}
        page = await ana.get("/proof")
        assert '<progress id="verified" max="100" value="25">' in page.text
        assert "The verification has begun." in page.text
        assert "Verify now" not in page.text
        assert (await ana.get("/proof/progress")).json() == {
            "state": "running", "read": 30, "of": 120, "percent": 25,
        }  # fmt: skip
        visits.proofs.fault = CallRefused("a verification is running", reference="verification-running", status=409)
        again = await ana.post("/proof/verification")
        visits.proofs.fault = None
        assert again.status_code == 303
        assert "A verification is running already." in (await ana.get("/proof")).text
        assert (await ana.post("/proof/verification", {"csrf": "no"})).status_code == 403
        assert [each for each in visits.proofs.asked if each[0] == "begin"] == [("begin", "auditor")] * 2


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({**DONE, "journals": [RESULT]}, "Intact"),
        ({**DONE, "state": "failed", "fault": "no key is for the journal"}, "no key is for the journal"),
        ({**DONE, "state": "interrupted"}, "It did not come to its end"),
        ({"state": "none"}, "not verified here until now"),
        (
            {
                **DONE,
                "journals": [
                    {
                        **RESULT,
                        "intact": False,
                        "findings": [
                            {
                                "kind": "changed",
                                "message": "this line differs",
                                "segment": "0.jsonl",
                                "line": 4,
                                "seq": 14,
                            }
                        ],
                    }
                ],
            },
            "NOT INTACT",
        ),
    ],
)
async def test_the_result_of_a_verification_is_shown(state: dict[str, Any], said: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.proofs.state = state
        page = await ana.get("/proof")
        assert page.status_code == 200, page.text
        assert said in page.text
        assert "Verify now" in page.text


async def test_texts_are_text_and_findings_are_bounded(tmp_path: Path) -> None:
    finding = {"kind": HOSTILE, "message": HOSTILE, "segment": HOSTILE, "line": None, "seq": None}
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.proofs.notices = [HOSTILE]
        visits.proofs.items = [
            {**STATE, "origin": HOSTILE, "fault": HOSTILE, "keys": [HOSTILE], "witnesses": [HOSTILE]}
        ]
        broken = {**RESULT, "origin": HOSTILE, "intact": False, "findings": [finding] * 1000}
        visits.proofs.state = {**DONE, "by": HOSTILE, "journals": [broken], "notices": [HOSTILE]}
        page = await ana.get("/proof")
        assert_text_only(page.text)
        assert page.text.count("<li><strong>") == 100


async def test_what_is_away_is_not_known_rather_than_old(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.proofs.fault = CallRefused("proof is busy", reference="proof-unavailable", status=503)
        page = await ana.get("/proof")
        assert page.status_code == 200
        assert "The state of the journals is not known now:" in page.text
        assert "The latest verification is not known now:" in page.text
        assert (await ana.get("/proof/progress")).status_code == 503
        assert (await ana.post("/proof/verification")).status_code == 503
