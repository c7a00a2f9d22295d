"""The journal over HTTP: what is asked reaches the process that answers, is recorded, and is bounded."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from pgjit.api.audit_answers import ChildAnswers
from pgjit.api.refusals import CallRefused
from pgjit.audit.reading.answering import answer
from pgjit.audit.segments import list_segments
from tests.api.people import People
from tests.fixtures.journals import JournalStory, write_journal


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("api") / "journal"
    write_journal(folder, JournalStory(150, people=2, seed=3).lines(), segment_lines=200)
    return {"folders": [str(folder)], "cache": str(folder.parent / "cache")}


async def test_what_a_call_narrows_is_asked_and_recorded(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        first = (await api.get("audit/executions?object=orders&since=2h&limit=1", "auditor")).json()
        assert first["complete"] is True
        await api.get(f"audit/executions?cursor={first['next']}", "auditor")
        asked, following = api.audit.questions
        assert asked["filter"] == {
            "touches": "orders",
            "since": "2h",
            "after_end": False,
            "catalog": False,
            "before": None,
        }
        assert following["filter"]["before"] == ["2026-11-24T08:00:00.000001+00:00", 7]
        lines = [line for segment in list_segments(api.path) for line in segment.lines()]
        records = [orjson.loads(line) for line in lines]
        called = [each for each in records if each["type"] == "api.called"]
        assert json.loads(called[0]["target"])["touches"] == "orders"


async def test_a_malformed_call_reaches_nobody(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        for query in ("limit=0", "decision=maybe", "cursor=x", "policy=", "text="):
            assert (await api.get(f"audit/executions?{query}", "auditor")).status_code in (400, 422)
        assert (await api.get("audit/report?part=all", "auditor")).status_code == 422
        assert api.audit.questions == []
        api.use(audit=None)
        refused = await api.get("audit/executions", "auditor")
        assert (refused.status_code, refused.json()["reference"]) == (503, "audit-unavailable")


def test_each_question_has_its_answer(source: dict[str, Any]) -> None:
    listed = answer({**source, "ask": "executions", "filter": {"catalog": True}, "limit": 3})
    assert (len(listed["items"]), listed["more"], listed["complete"]) == (3, True, True)
    last = listed["items"][-1]
    before = [datetime.fromisoformat(last["time"]).astimezone(UTC).isoformat(), last["seq"]]
    after = answer({**source, "ask": "executions", "filter": {"catalog": True, "before": before}, "limit": 1})
    assert after["items"][0]["seq"] < last["seq"]
    assert answer({**source, "ask": "execution", "name": last["execution"]})["execution"] == last
    assert answer({**source, "ask": "window", "name": last["window"]})["window"]["window"] == last["window"]
    assert answer({**source, "ask": "session", "name": last["session"]})["records"][0]["type"] == "session.opened"
    report = answer({**source, "ask": "report", "name": "rows", "filter": {"since": "2026-11-01"}})
    assert list(report["parts"]) == ["rows"]
    assert answer({**source, "ask": "window", "name": "w_none"})["fault"]["status"] == 404
    unread = answer({**source, "ask": "executions", "filter": {"since": "soon"}, "limit": 1})
    assert unread["fault"]["reference"] == "invalid-moment"


@pytest.mark.live
async def test_a_process_of_its_own_answers(source: dict[str, Any]) -> None:
    answers = ChildAnswers([Path(source["folders"][0])], Path(source["cache"]))
    found = await answers.answer({"ask": "executions", "filter": {}, "limit": 2})
    assert len(found["items"]) == 2
    with pytest.raises(CallRefused) as refused:
        await answers.answer({"ask": "window", "name": "w_none"})
    assert refused.value.reference == "window-unknown"
    with pytest.raises(CallRefused) as failed:
        await answers.answer({"ask": "nothing"})
    assert failed.value.problem()["status"] == 500


@pytest.mark.live
async def test_a_process_that_takes_too_long_is_ended_and_callers_are_bounded(source: dict[str, Any]) -> None:
    answers = ChildAnswers([Path(source["folders"][0])], Path(source["cache"]), seconds=0.01)
    question = {"ask": "executions", "filter": {}, "limit": 1}
    found = await asyncio.gather(*(answers.answer(question) for _ in range(12)), return_exceptions=True)
    refused = [each.message for each in found if isinstance(each, CallRefused)]
    assert sorted(refused) == ["audit is busy"] * 3 + ["audit took too long"] * 9
