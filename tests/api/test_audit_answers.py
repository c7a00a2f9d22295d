"""The journal over HTTP: what is asked reaches the process that answers, is recorded, and is bounded."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from pgjit.api.audit_answers import ChildAnswers
from pgjit.api.gate import problem_of
from pgjit.api.refusals import AuditPreparing, CallRefused
from pgjit.audit.reading import answering
from pgjit.audit.reading.answering import answer
from pgjit.audit.segments import list_segments
from tests.api.people import People
from tests.fixtures.journals import JournalStory, write_journal
from tests.run.waiting import until


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


def test_each_question_has_its_answer(source: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    listed = answer({**source, "ask": "executions", "filter": {"catalog": True}, "limit": 3})
    assert (len(listed["items"]), listed["more"], listed["complete"]) == (3, True, True)
    last = listed["items"][-1]
    before = [datetime.fromisoformat(last["time"]).astimezone(UTC).isoformat(), last["seq"]]
    after = answer({**source, "ask": "executions", "filter": {"catalog": True, "before": before}, "limit": 1})
    assert after["items"][0]["seq"] < last["seq"]
    assert answer({**source, "ask": "execution", "name": last["execution"]})["execution"] == last
    assert answer({**source, "ask": "window", "name": last["window"]})["window"]["window"] == last["window"]
    story = answer({**source, "ask": "window", "name": last["window"], "catalog": True})
    assert len(story["executions"]) == min(500, story["totals"]["executions"])
    [shown] = answer({**source, "ask": "activity", "names": [last["window"]]})["windows"]
    assert shown["executions"] == story["totals"]["executions"] - story["totals"]["catalog"]
    assert answer({**source, "ask": "session", "name": last["session"]})["records"][0]["type"] == "session.opened"
    report = answer({**source, "ask": "report", "name": "rows", "filter": {"since": "2026-11-01"}})
    assert list(report["parts"]) == ["rows"]
    cut = answer({**source, "ask": "executions", "filter": {}, "limit": 200, "characters": 30})["items"]
    assert max(len(each["statement"]) for each in cut) == 30
    assert any("statement" in each.get("shortened", []) for each in cut)
    assert all("violations" not in each for each in cut if each["decision"] == "deny")
    csv = answer({**source, "ask": "executions-csv", "filter": {"decision": "deny"}, "limit": 1})
    assert (csv["file"].count("\n"), csv["more"]) == (2, True)
    assert csv["file"].startswith("journal,seq,time,")
    monkeypatch.setattr(answering, "_LARGEST_CSV", 100)
    large = answer({**source, "ask": "executions-csv", "filter": {}, "limit": 9})["fault"]
    assert (large["reference"], large["status"], "`since`" in large["hint"]) == ("audit-query", 400, True)
    assert answer({**source, "ask": "window", "name": "w_none"})["fault"]["status"] == 404
    unread = answer({**source, "ask": "executions", "filter": {"since": "soon"}, "limit": 1})
    assert unread["fault"]["reference"] == "invalid-moment"


@pytest.mark.live
async def test_a_process_of_its_own_answers(source: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    answers = ChildAnswers([Path(source["folders"][0])], Path(source["cache"]), seconds=600)
    found = await answers.answer({"ask": "executions", "filter": {}, "limit": 2})
    assert len(found["items"]) == 2
    file = await answers.answer({"ask": "executions-csv", "filter": {}, "limit": 2})
    assert (file["file"].count(b"\n"), file["more"], file["complete"]) == (3, True, True)
    written = await answers.answer({"ask": "sql-csv", "query": "SELECT 'é東' AS n", "limit": 2})
    assert written["file"] == "n\né東\n".encode()
    with pytest.raises(CallRefused) as refused:
        await answers.answer({"ask": "window", "name": "w_none"})
    assert refused.value.reference == "window-unknown"
    with pytest.raises(CallRefused, match="needs more memory than it may use"):
        await answers.answer({"ask": "sql", "query": "SELECT length(repeat('x', 3500000000))", "limit": 1})
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


_SPILLS = "import tempfile, time; tempfile.mkstemp('.spilled'); time.sleep(600)"


@pytest.mark.live
async def test_what_a_process_spilled_is_removed_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answers = ChildAnswers([tmp_path], tmp_path, command=(sys.executable, "-S", "-c", _SPILLS))
    asked = asyncio.create_task(answers.answer({}))
    await until(lambda: any(tmp_path.glob("pgjit-audit-*/*.spilled")))
    asked.cancel()  # as its time limit does
    await asyncio.gather(asked, return_exceptions=True)
    assert not [*tmp_path.iterdir()]


async def test_a_query_of_an_auditor_is_recorded_whole_and_bounded(tmp_path: Path) -> None:
    query = "SELECT count(*) FROM executions WHERE statement = '" + "x" * 3000 + "'"
    bodies: list[dict[str, object]] = [
        {"query": ""}, {"query": "x" * 4097}, {"query": "SELECT 1", "limit": 10_001}, {}, {"query": "\0"},
    ]  # fmt: skip
    async with People(tmp_path) as api:
        answered = await api.post("audit/sql", "auditor", {"query": query, "limit": 7})
        assert answered.json() == {
            "columns": ["n"], "rows": [[1]], "more": False, "complete": True, "notices": [],
        }  # fmt: skip
        assert api.audit.questions == [{"ask": "sql", "query": query, "limit": 7, "characters": None}]
        records = [orjson.loads(line) for segment in list_segments(api.path) for line in segment.lines()]
        assert [each["target"] for each in records if each["type"] == "api.called"] == [query]
        for body in bodies:
            assert (await api.post("audit/sql", "auditor", body)).status_code == 422
        assert len(api.audit.questions) == 1


def test_sql_reads_the_views_and_nothing_else(source: dict[str, Any]) -> None:
    def asked(query: str, limit: int = 10) -> dict[str, Any]:
        return answer({**source, "ask": "sql", "query": query, "limit": limit})

    csv = answer({**source, "ask": "sql-csv", "query": """SELECT '=1+1' AS "=x", -1 AS n""", "limit": 10})
    assert (csv["file"], csv["more"]) == ("'=x,n\n'=1+1,-1\n", False)
    cut = answer({**source, "ask": "sql", "query": "SELECT repeat('x', 99), [1, 2]", "limit": 1, "characters": 20})
    assert cut["rows"] == [["x" * 20 + "…", [1, 2]]]
    grouped = asked("SELECT decision, count(*) AS n, NULL AS n FROM executions GROUP BY 1 ORDER BY 1")
    assert len(grouped["columns"]) == 3
    assert [row[0] for row in grouped["rows"]] == ["allow", "deny"]
    assert (len(asked("SELECT seq FROM records", 3)["rows"]), asked("SELECT seq FROM records", 3)["more"]) == (
        3,
        True,
    )
    assert isinstance(asked("SELECT record FROM records LIMIT 1")["rows"][0][0], dict)
    rows = [
        ("SELEC 1", "audit-query", "At character "),
        ("SELECT * FROM read_text('/etc/passwd')", "audit-query", None),
        ("CREATE TABLE t (a int)", "audit-query", None),
        ("SELECT repeat('x', 100_000) FROM range(1000)", "audit-query", None),
    ]
    for query, reference, detail in rows:
        fault = asked(query, 10_000)["fault"]
        assert (query, fault["reference"], fault["status"]) == (query, reference, 400)
        assert detail is None or detail in fault["detail"]
        assert (fault["position"] is None) == (query.startswith(("CREATE", "SELECT repeat")))
    assert asked(rows[3][0], 10_000)["fault"]["message"] == "result is larger than 8 MiB"


_SLOW = """
import pathlib, sys, time
print('{"read": 30000000, "of": 120000000}', file=sys.stderr, flush=True)
while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)
print('{"items": []}')
"""


@pytest.mark.live
async def test_while_segments_are_read_for_the_first_time_calls_learn_how_far_that_is(tmp_path: Path) -> None:
    released = tmp_path / "released"
    command = (sys.executable, "-S", "-c", _SLOW, str(released))
    answers = ChildAnswers([tmp_path], tmp_path, command=command)
    async with aclosing(answers):
        first = asyncio.create_task(answers.answer({}))
        await until(lambda: answers.child is not None and answers.child.preparing)
        first.cancel()  # as its time limit does, or a client that goes away
        await asyncio.gather(first, return_exceptions=True)
        with pytest.raises(AuditPreparing, match="audit is being prepared") as refused:
            await answers.answer({})
        assert "25 % of 120 MB are done" in str(refused.value.detail)
        status, _, headers = problem_of(refused.value)
        assert (status, dict(headers)[b"retry-after"]) == (503, str(refused.value.seconds).encode())
        assert refused.value.problem()["progress"] == {"done": 30_000_000, "whole": 120_000_000}
        released.touch()
        await until(lambda: not answers.preparing)
        assert await answers.answer({}) == {"items": []}


@pytest.mark.live
async def test_a_process_that_prints_too_much_or_nothing_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for program, reason in (
        ("while True: print('x' * 1_000_000)", "it printed too much"),
        ("import sys; sys.exit('no such module')", "1: no such module"),
    ):
        answers = ChildAnswers([tmp_path], tmp_path, command=(sys.executable, "-S", "-c", program))
        with pytest.raises(CallRefused, match="audit could not be read"):
            await answers.answer({})
        assert reason in caplog.text
