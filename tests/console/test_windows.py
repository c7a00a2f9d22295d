"""The story of a window in the browser, and the replay of a session."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.api.refusals import CallRefused
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE
from tests.api.test_access_matrix import furnished
from tests.console.story import EVIL, write_story
from tests.console.test_inbox import form, texts
from tests.console.visits import Visits


def last_of_story(visits: Visits, policy: str | None = None) -> str:
    return [each.id for each in visits.store.all_windows.values() if policy in (None, each.policy)][-1]


async def test_an_auditor_reads_the_whole_story(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        reader = write_story(visits, tmp_path)
        name = last_of_story(visits)
        story = await reader.answer({"ask": "window", "name": name})
        ada = await visits.of("auditor")
        page = await ada.get(f"/windows/{name}")
        assert page.status_code == 200
        words = texts(page.text)
        totals = story["totals"]
        assert f"{totals['executions']} executions" in words
        assert f"the {totals['catalog']} that drivers asked the catalogs" in words
        drawing = page.text.partition("<svg")[2].partition("</svg>")[0]
        assert [part.partition('"')[0] for part in drawing.split('href="/audit/executions/')[1:]] == [
            each["execution"] for each in story["executions"]
        ]
        first = story["executions"][0]
        assert f'href="/audit/executions/{first["execution"]}"' in page.text
        assert f'href="/sessions/{first["session"]}/replay"' in page.text
        assert "window opened" not in words or "opened from" in words
        assert ("auditor", "auditor", "GET", f"/audit/windows/{name}") in visits.calls()
        unfolded = await ada.get(f"/windows/{name}?catalog=1")
        assert unfolded.text.count("<rect") == min(500, totals["executions"])


async def test_a_long_story_is_paged_and_small(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        write_story(visits, tmp_path, executions=180)
        ada = await visits.of("auditor")
        for name in list(visits.store.all_windows):
            page = await ada.get(f"/windows/{name}?catalog=1")
            assert page.text.count('<tr id="e-') <= 100
            later = await ada.get(f"/windows/{name}?catalog=1&begin=101")
            assert '<tr id="e-1"' not in later.text
        for begin in ("0", "-1", "x", "9" * 50, "999999"):
            assert (await ada.get(f"/windows/{name}?begin={begin}")).status_code == 200


async def test_a_rule_that_refused_two_columns_is_named_once(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        reader = write_story(visits, tmp_path)
        name = last_of_story(visits)
        story = await reader.answer({"ask": "window", "name": name})
        story["executions"][0] |= {"decision": "deny", "rules": ["denied", "denied", "write-scope"]}

        async def answer(question: object) -> dict[str, object]:
            return story

        reader.answer = answer  # type: ignore[method-assign]
        ada = await visits.of("auditor")
        assert '<span class="kind">denied, write-scope</span>' in (await ada.get(f"/windows/{name}")).text


async def test_others_see_the_window_and_where_its_story_is(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        own = await visits.of("requester")
        page = texts((await own.get("/windows/w_1")).text)
        assert "What ran in it is in the journal, which auditors and admins read" in page
        assert visits.audit.questions == []
        other = await visits.of("other")
        assert (await other.get("/windows/w_1")).status_code == 404


async def test_a_journal_that_is_away_or_elsewhere_leaves_the_rest_of_the_page(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        reader = write_story(visits, tmp_path)
        visits.store.all_windows["w_elsewhere"] = a_window("elsewhere", PEOPLE["requester"].key, NOW)
        ada = await visits.of("auditor")
        elsewhere = await ada.get("/windows/w_elsewhere")
        assert elsewhere.status_code == 200
        assert "What ran in this window is not known now" in texts(elsewhere.text)
        reader.away = CallRefused("audit is busy", reference="audit-busy", status=503)
        page = await ada.get(f"/windows/{last_of_story(visits)}")
        assert page.status_code == 200
        assert "What ran in this window is not known now: audit is busy" in texts(page.text)
        assert "<rect" not in page.text


async def test_an_admin_revokes_and_locks_with_a_reason(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        visits.audit.answer = _no_story  # type: ignore[method-assign]
        root = await visits.of("admin")
        page = (await root.get("/windows/w_1")).text
        fields = form(page, "/windows/w_1/revoke")
        assert (await root.post("/windows/w_1/revoke", {**fields, "reason": " "})).status_code == 400
        assert visits.store.all_windows["w_1"].revoked_at is None
        done = await root.post("/windows/w_1/revoke", {**fields, "reason": "astray"})
        assert (done.status_code, done.headers["location"]) == (303, "/windows/w_1")
        revoked = visits.store.all_windows["w_1"]
        assert (revoked.revoke_reason, revoked.revoked_by and revoked.revoked_by.display) == ("astray", "admin")
        locked = await root.post("/locks", {**form(page, "/locks"), "reason": "astray"})
        assert (locked.status_code, locked.headers["location"]) == (303, "/windows/w_1")
        key = PEOPLE["requester"].key
        assert f"{key.tid}/{key.oid}" in [each.scope.target for each in visits.store.all_locks.values()]
        assert ("admin", "admin", "POST", "/windows/w_1/revoke") in visits.calls()


async def _no_story(question: object) -> dict[str, object]:
    raise CallRefused("window is not known", reference="window-unknown", status=404)


async def test_an_auditor_has_no_form_and_changes_nothing(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        visits.audit.answer = _no_story  # type: ignore[method-assign]
        ada = await visits.of("auditor")
        assert "/revoke" not in (await ada.get("/windows/w_1")).text
        response = await ada.post("/windows/w_1/revoke", {"reason": "astray", "csrf": await ada.csrf()})
        assert response.status_code == 403
        assert visits.store.all_windows["w_1"].revoked_at is None


async def test_a_reviewer_signs_a_break_glass_window_off_once(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        rita = await visits.of("reviewer")
        inbox = (await rita.get("/requests")).text
        assert 'href="/windows/w_glass"' in inbox
        fields = form((await rita.get("/windows/w_glass")).text, "/windows/w_glass/sign-off")
        assert (await rita.post("/windows/w_glass/sign-off", {**fields, "comment": ""})).status_code == 400
        done = await rita.post("/windows/w_glass/sign-off", {**fields, "comment": "looked at it"})
        assert done.status_code == 303
        again = await rita.post("/windows/w_glass/sign-off", {**fields, "comment": "looked at it"})
        assert again.status_code == 409
        assert "Nothing was changed by what you sent" in texts(again.text)


async def test_a_hundred_thousand_windows_stay_paged(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        one = a_window("0", PEOPLE["requester"].key, NOW)
        visits.store.all_windows = {f"w_{n}": replace(one, id=f"w_{n}") for n in range(100_000)}
        ada = await visits.of("auditor")
        for path in ("/windows", "/windows?state=all&policy=reading", "/live"):
            page = await ada.get(path)
            assert page.status_code == 200
            assert len(page.content) < 100_000
            assert 'rel="next"' in page.text
        assert (await ada.get("/windows?state=odd")).status_code == 422
        assert (await ada.get("/windows?cursor=x")).status_code == 400


def evil_records() -> list[str]:
    """A window of one session whose every text is hostile."""
    tid, oid = PEOPLE["requester"].key
    who = {"tid": tid, "oid": oid, "kind": "user", "display": EVIL, "token_id": "t"}
    window = {"id": "w_evil", "opened_at": "2026-11-28T10:00:00Z", "ends_at": "2026-11-28T11:00:00Z"}
    common = {"identity": who, "policy": "reading", "policy_version": "ab", "window": window, "connection": "shop"}
    head = {"identity": f"{tid}/{oid}", "policy": "reading", "window": "w_evil", "execution": "s_evil/1"}
    records: list[dict[str, object]] = [
        {"type": "window.opened", **common, "source": "10.0.0.7:1", "reason": EVIL},
        {"type": "session.opened", **common, "session": "s_evil", "backend_pid": 1, "source": "10.0.0.7:1",
         "application_name": EVIL, "tls": "TLSv1.3", "startup_user": EVIL, "server_version": "18"},
        {"type": "execution", **head, "decision": "allow", "kind": "select", "statement": f"SELECT '{EVIL}'"},
        {"type": "outcome", "window": "w_evil", "execution": "s_evil/1", "ended": "failed", "rows": 0,
         "sqlstate": "42P01", "message": EVIL, "duration_us": 2_500_000},
        {"type": "session.ended", "identity": f"{tid}/{oid}", "policy": "reading", "window": "w_evil",
         "session": "s_evil", "reason": "ttl", "detail": EVIL, "executions": 1, "rows": 0, "bytes": 0, "received": 0,
         "proof": {"cancel_sent": True, "terminate_sent": True, "gone": True, "by": "look", "server": None,
                   "checked_at": "2026-11-28T10:01:00Z", "took_ms": 120, "error": None}},
    ]  # fmt: skip
    return [
        json.dumps({"v": 1, "seq": 900_000 + at, "time": f"2026-11-28T10:00:{at * 2:02}.000000Z", **each})
        for at, each in enumerate(records)
    ]


async def test_what_an_agent_sent_is_shown_as_text_with_its_invisible_characters(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        write_story(visits, tmp_path, executions=30, extra=evil_records())
        visits.store.all_windows["w_evil"] = a_window("evil", PEOPLE["requester"].key, NOW, display=EVIL)
        ada = await visits.of("auditor")
        for path in ("/windows/w_evil", "/sessions/s_evil/replay", "/windows?state=all"):
            page = await ada.get(path)
            assert page.status_code == 200, path
            assert "<script>alert" not in page.text, path
            assert "\u202e" not in page.text, path
            assert "\x07" not in page.text, path
            assert "U+202E" in page.text, path
        story = texts((await ada.get("/windows/w_evil")).text)
        assert "backend gone after 120 ms, proven by a look at its server" in story
        assert "long" in story
        assert "1 failed" in story


async def test_after_an_early_end_the_page_says_from_when_the_next_window_counts(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        write_story(visits, tmp_path, executions=30)
        window = a_window("early", PEOPLE["requester"].key, NOW, display="early")
        explained = "counted from the planned end"
        for reason, says in (("ttl", False), ("revoked", True)):
            visits.store.all_windows["w_early"] = replace(window, ended_at=NOW, end_reason=reason)
            page = texts((await (await visits.of("auditor")).get("/windows/w_early")).text)
            assert (explained in page) is says, reason
            assert "Limits do not count SHOW pgjit.…" in page


async def test_a_replay_has_the_pauses_of_the_session(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        write_story(visits, tmp_path, executions=30, extra=evil_records())
        ada = await visits.of("auditor")
        page = (await ada.get("/sessions/s_evil/replay")).text
        assert [part.partition('"')[0] for part in page.split('data-at="')[1:]] == ["0", "2000", "4000", "6000"]
        assert "after 2 s" in texts(page)
        assert 'href="/audit/executions/s_evil/1"' in page
        assert ("auditor", "auditor", "GET", "/audit/sessions/s_evil") in visits.calls()
        assert (await ada.get("/sessions/none/replay")).status_code == 404


@pytest.mark.parametrize("who", ["requester", "reviewer"])
async def test_a_replay_is_for_those_who_read_the_journal(who: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        page = await (await visits.of(who)).get("/sessions/s_1/replay")
        assert page.status_code == 403
        assert visits.audit.questions == []


async def test_windows_in_which_little_is_recorded_have_their_page(tmp_path: Path) -> None:
    records = [json.loads(line) for line in evil_records()]
    opened, session, execution, *_ = records
    bare = [
        {**opened, "window": {**opened["window"], "id": "w_bare"}},
        {**opened, "window": {**opened["window"], "id": "w_idle"}},
        {**session, "window": {**opened["window"], "id": "w_idle"}, "session": "s_idle", "application_name": None},
        {**opened, "window": {**opened["window"], "id": "w_runs"}},
        {**session, "window": {**opened["window"], "id": "w_runs"}, "session": "s_runs"},
        {**execution, "window": "w_runs", "execution": "s_runs/1", "kind": None},
    ]
    lines = [json.dumps({**each, "seq": 910_000 + at}) for at, each in enumerate(bare)]
    async with Visits(tmp_path) as visits:
        write_story(visits, tmp_path, executions=30, extra=lines)
        ada = await visits.of("auditor")
        for name in ("bare", "idle", "runs"):
            visits.store.all_windows[f"w_{name}"] = a_window(name, PEOPLE["requester"].key, NOW)
            page = await ada.get(f"/windows/w_{name}")
            assert page.status_code == 200, name
        assert "unknown" in page.text, "an execution without an outcome"
        for name in ("s_idle", "s_runs"):
            assert (await ada.get(f"/sessions/{name}/replay")).status_code == 200
