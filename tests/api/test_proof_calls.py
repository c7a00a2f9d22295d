"""Calls about proof: what they return, what is recorded, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import orjson

from pgjit.api.refusals import CallRefused
from pgjit.audit.segments import list_segments
from tests.api.people import People


async def test_the_state_of_the_journals(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        found = (await api.get("audit/journals", "auditor")).json()
        assert (found["node"], found["notices"]) == ("n1", [])
        assert (found["items"][0]["signed"], found["items"][0]["unsigned"]) == (118, 2)
        assert api.calls() == [("auditor", "auditor", "GET", "/audit/journals")]


async def test_a_verification_is_recorded_with_who_began_it(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        assert (await api.get("audit/verification", "auditor")).json()["state"] == "none"
        assert api.calls() == []  # it has nothing of anybody
        begun = await api.post("audit/verification", "admin", {})
        assert (begun.status_code, begun.json()["state"], begun.json()["by"]) == (202, "running", "admin")
        assert api.calls() == [("admin", "admin", "POST", "/audit/verification")]
        assert (await api.get("audit/verification", "auditor")).json()["state"] == "running"


async def test_a_proof_is_a_file_and_the_record_says_of_what(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        found = await api.get("audit/proof?record=abc/14&journal=n1/0/abcdefgh", "auditor")
        assert found.text == "c2sp.org/tlog-proof@v1\n"
        assert found.headers["content-type"] == "text/plain; charset=utf-8"
        assert found.headers["content-disposition"] == 'attachment; filename="record-abc-14.tlog-proof"'
        assert api.proofs.asked == [("prove", "abc/14", "n1/0/abcdefgh")]
        lines = [orjson.loads(line) for segment in list_segments(api.path) for line in segment.lines()]
        [called] = [each for each in lines if each["type"] == "api.called"]
        assert json.loads(called["target"]) == {"record": "abc/14", "journal": "n1/0/abcdefgh"}


async def test_a_malformed_call_reaches_nobody(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        for query in ("", "?record=", "?record=a b", "?record=../x", "?record=1&journal=", "?record=1%0d%0aX:y"):
            refused = await api.get(f"audit/proof{query}", "auditor")
            assert (query, refused.status_code) == (query, 422)
        assert api.proofs.asked == []


async def test_what_cannot_be_known_is_a_problem(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.proofs.fault = CallRefused("proof is busy", reference="proof-unavailable", status=503)
        for path in ("audit/journals", "audit/verification", "audit/proof?record=1"):
            refused = await api.get(path, "auditor")
            assert (path, refused.status_code, refused.json()["reference"]) == (path, 503, "proof-unavailable")
        api.use(proofs=None)
        assert (await api.get("audit/journals", "auditor")).status_code == 503
