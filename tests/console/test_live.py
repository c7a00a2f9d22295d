"""What is live in the browser: the sessions of now, what stops them, and events that are ready to be shown."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pgjit.console.live_events import _state, event_for_page, for_pages
from pgjit.console.shown import size_text
from pgjit.errors import ServerUnavailable
from pgjit.grants.scope import ScopeKind
from tests.api.people import AUDITORS, NOW, PEOPLE, KnownGroups, who
from tests.api.test_access_matrix import Registered, furnished
from tests.api.test_live_sessions import RUNNING, Counted, view
from tests.console.story import EVIL
from tests.console.test_inbox import AWAY, form, texts
from tests.console.visits import ORIGIN, Visitor, Visits


def add(visits: Visits, name: str, owner: str = "requester", **changes: Any) -> None:
    visits.registry.add(name, Registered(view(name, owner, **changes)))  # type: ignore[arg-type]


async def test_an_admin_sees_what_runs_and_what_is_left(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        add(visits, "s_7")
        root = await visits.of("admin")
        page = await root.get("/live")
        words = texts(page.text)
        for each in ("SELECT '<b>'", "since", "30 of 500 rows", "4 statements", "others", "Lock something"):
            assert each in words, each
        assert "<b>" not in page.text
        assert f'data-since="{NOW.isoformat().replace("+00:00", "Z")}"' in page.text


async def test_what_runs_longest_is_at_the_top(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        add(visits, "s_2", running=replace(RUNNING, started_at=NOW - timedelta(seconds=5)))
        add(visits, "s_3", running=replace(RUNNING, started_at=NOW - timedelta(seconds=50)))
        add(visits, "s_4", running=None, state="idle")
        page = (await (await visits.of("admin")).get("/live")).text
        assert re.findall(r'data-key="(s_[^"]+)"', page)[:2] == ["s_3", "s_2"]


@pytest.mark.parametrize(
    ("who", "sessions", "kills", "locks"),
    [
        ("requester", ["s_1"], False, False),
        ("reviewer", [], False, False),
        ("auditor", ["s_1", "s_8"], False, True),
        ("admin", ["s_1", "s_8"], True, True),
    ],
)
async def test_each_role_has_its_parts(
    who: str, sessions: list[str], kills: bool, locks: bool, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        add(visits, "s_8", "other")
        page = (await (await visits.of(who)).get("/live")).text
        assert sorted(re.findall(r'data-key="(s_[^"]+)"', page)) == sessions
        assert ("/kill" in page) is kills
        assert ('id="locks-title"' in page) is locks
        assert ('action="/locks"' in page) is kills


async def test_a_session_is_killed_with_a_reason(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        fields = form((await root.get("/live")).text, "/sessions/s_1/kill")
        assert (await root.post("/sessions/s_1/kill", {**fields, "reason": ""})).status_code == 400
        assert visits.ending.killed == []
        done = await root.post("/sessions/s_1/kill", {**fields, "reason": "runs away"})
        assert (done.status_code, done.headers["location"]) == (303, "/live")
        assert visits.ending.killed == ["s_1"]
        assert ("admin", "admin", "POST", "/sessions/s_1/kill") in visits.calls()
        gone = await root.post("/sessions/s_9/kill", {**fields, "reason": "runs away"})
        assert gone.status_code == 404


@pytest.mark.parametrize("who", ["requester", "reviewer", "auditor"])
async def test_others_stop_nothing(who: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        visitor = await visits.of(who)
        csrf = await visitor.csrf()
        for path, fields in (
            ("/sessions/s_1/kill", {}),
            ("/locks", {"kind": "all"}),
            ("/locks/l_0/lift", {}),
        ):
            response = await visitor.post(path, {**fields, "reason": "x", "csrf": csrf})
            assert response.status_code == 403, path
        assert (visits.ending.killed, list(visits.store.all_locks)) == ([], ["l_0"])


async def test_a_role_that_was_lost_while_the_page_is_open_stops_nothing(tmp_path: Path) -> None:
    directory = KnownGroups()
    async with Visits(tmp_path, directory=directory) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        fields = form((await root.get("/live")).text, "/sessions/s_1/kill")
        directory.groups["oid-admin"] = frozenset()
        assert (await root.post("/sessions/s_1/kill", {**fields, "reason": "x"})).status_code == 403
        assert visits.ending.killed == []


async def test_what_cannot_be_recorded_stops_nothing(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        csrf = await root.csrf()
        await visits.journal.close()
        for path, fields in (
            ("/sessions/s_1/kill", {}),
            ("/locks", {"kind": "all"}),
            ("/locks/l_0/lift", {}),
            ("/windows/w_1/revoke", {}),
        ):
            response = await root.post(path, {**fields, "reason": "x", "csrf": csrf})
            assert (response.status_code, "Reference: journal-unavailable" in texts(response.text)) == (503, True), (
                path
            )
            assert "set-cookie" not in response.headers, path  # no notice that it was done
        assert (visits.ending.killed, list(visits.store.all_locks)) == ([], ["l_0"])
        assert visits.store.all_windows["w_1"].revoked_at is None


async def test_a_lock_is_set_for_a_while_and_lifted(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        fields = {**form((await root.get("/live")).text, "/locks"), "kind": "policy", "target": "reading"}
        done = await root.post("/locks", {**fields, "length": "2h", "reason": "astray"})
        assert (done.status_code, done.headers["location"]) == (303, "/live")
        lock = visits.store.all_locks["l_2"]
        assert (lock.scope.kind, lock.scope.target) == (ScopeKind.POLICY, "reading")
        assert lock.until is not None
        assert (lock.until - NOW).total_seconds() == 7200
        page = (await root.get("/live")).text
        lifted = await root.post("/locks/l_2/lift", {**form(page, "/locks/l_2/lift"), "reason": "over"})
        assert lifted.status_code == 303
        assert list(visits.store.all_locks) == ["l_0"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"kind": "galaxy"}, 400),
        ({"kind": "policy", "target": ""}, 400),
        ({"kind": "policy", "target": "a\nb"}, 400),
        ({"kind": "policy", "target": "no such policy"}, 404),
        ({"kind": "identity", "target": "somebody"}, 422),
        ({"kind": "policy", "target": "reading", "length": "soon"}, 400),
        ({"kind": "policy", "target": "reading", "length": "-2h"}, 400),
        ({"kind": "policy", "target": "reading", "length": "9999d"}, 400),
        ({"kind": "policy", "target": "reading", "reason": ""}, 400),
    ],
)
async def test_a_lock_with_a_field_that_is_not_accepted_is_not_set(
    fields: dict[str, str], status: int, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        response = await root.post("/locks", {"reason": "x", "csrf": await root.csrf(), **fields})
        assert response.status_code == status, texts(response.text)
        assert list(visits.store.all_locks) == ["l_0"]


@pytest.mark.parametrize("back", ["https://evil.test/", "//evil.test", "/\\evil.test", "/live\r\nx: y", "/elsewhere"])
async def test_a_lock_leads_back_to_the_console_alone(back: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        fields = {"kind": "policy", "target": "reading", "reason": "x", "csrf": await root.csrf(), "back": back}
        response = await root.post("/locks", fields)
        assert response.headers.get("location", "/live") == "/live"


async def test_what_the_store_cannot_say_now_is_not_known(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")

        async def away(*_: object, **__: object) -> None:
            raise AWAY

        visits.store.windows = away  # type: ignore[method-assign,assignment]
        visits.store.elsewhere = ServerUnavailable("away", reference="store-unavailable", detail="no route")
        page = await root.get("/live")
        words = texts(page.text)
        assert page.status_code == 200
        assert "Which windows are open is not known now" in words
        assert "only the sessions of this node are shown" in words
        assert 'data-key="s_1"' in page.text
        assert "No window is open" not in words


# --- events ---------------------------------------------------------------------------------------------


def record(kind: str, **members: object) -> bytes:
    tid, oid = PEOPLE["requester"].key
    identity = {"tid": tid, "oid": oid, "display": EVIL}
    body = {"v": 1, "seq": 1, "time": "2026-11-24T09:00:00Z", "type": kind, "identity": identity,
            "policy": "reviewed", "reason": EVIL, **members}  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


async def heard(
    visits: Visits, visitor: Visitor, *lines: bytes, query: str = "", last: str | None = ""
) -> list[tuple[str, dict[str, Any]]]:
    """What a page hears after the journal's last record: these lines, and the end of the feed."""
    headers = {} if last is None else {"last-event-id": visits.feed.latest_id}
    visits.feed.take(visits.feed.latest + 1, lines)
    reading = asyncio.create_task(visitor.get(f"/events{query}", headers=headers))
    async with asyncio.timeout(60):
        while not visits.feed._readers:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        visits.feed.close()
        response = await reading
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [dict(line.partition(": ")[::2] for line in block.splitlines()) for block in response.text.split("\n\n")]
    return [(each.get("event", "message"), json.loads(each["data"])) for each in blocks if "data" in each]


async def test_events_are_ready_to_be_shown_as_text(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        proof = {"gone": True, "by": "look", "took_ms": 120}
        tid, oid = PEOPLE["requester"].key
        ended = record("session.ended", identity=f"{tid}/{oid}", window="w_1", session="s_1", proof=proof)
        events = await heard(visits, root, record("request.made", request="r_1"), ended)
        [(_, made), (_, end)] = [each for each in events if each[0] == "message"]
        assert (made["type"], made["ids"], made["ended"]) == ("request.made", ["r_1"], False)
        assert "[U+202E][U+0007]" in made["words"], "what is not visible is"
        assert "\u202e" not in made["words"]
        assert (end["ids"], end["ended"]) == (["w_1", "s_1"], True)
        assert "backend gone after 120 ms, proven by a look at its server" in end["words"]


async def test_the_sessions_of_now_come_with_the_events_where_a_page_has_them(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        add(visits, "s_7", running=replace(RUNNING, statement=f"SELECT '{EVIL}'"))
        root = await visits.of("admin")
        [(_, state)] = [each for each in await heard(visits, root, query="?sessions=true") if each[0] == "live"]
        found = {each["id"]: each for each in state["sessions"]}
        assert sorted(found) == ["s_1", "s_7"]
        cells = found["s_7"]["cells"]
        assert (cells["state"], cells["rows"], cells["bytes"]) == ("active", "30", "4\u202f000 B")
        assert (cells["used_rows"], found["s_7"]["used"]["used_rows"], cells["used_bytes"]) == (
            "30",
            30,
            "4\u202f000 B",
        )
        assert "[U+202E]" in cells["statement"]
        assert found["s_7"]["since"] == "2026-11-24T09:00:00Z"
        assert (found["s_1"]["cells"]["statement"], found["s_1"]["since"]) == ("", None)


async def test_events_are_those_that_the_person_may_see(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        rita = await visits.of("reviewer")
        lines = (
            record("window.opened", policy="others", window={"id": "w_9"}),
            record("request.made", request="r_1"),
        )
        events = await heard(visits, rita, *lines, query="?sessions=true")
        assert [each["type"] for name, each in events if name == "message"] == ["request.made"]
        assert [each["sessions"] for name, each in events if name == "live"] == [[]]


async def test_events_end_with_the_sign_in_and_an_open_page_does_not_keep_it(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        [kept] = visits.sign_ins.sign_ins.values()
        visits.now += timedelta(minutes=29)
        for path in ("/live", "/requests", "/windows"):
            assert (await root.get(path, headers={"x-pgjit-live": "1"})).status_code == 200
        visits.now += timedelta(minutes=2)
        late = await root.get("/live", headers={"x-pgjit-live": "1"})
        assert late.status_code == 303, "nobody had used it for half an hour"
        assert late.headers["location"] == "/sign-in?to=%2Flive"
        assert kept.id not in visits.sign_ins.sign_ins
        nobody = await visits.browser().get("/events")
        assert (nobody.status_code, nobody.headers["location"]) == (303, "/sign-in?to=%2Fevents")


async def test_what_happens_between_a_page_and_its_stream_is_not_missed(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        rita = await visits.of("reviewer")
        page = (await rita.get("/requests")).text
        after = re.search(r'data-after="([^"]+)"', page)
        assert after is not None
        made = record("request.made", request="r_1")
        events = await heard(visits, rita, made, query=f"?after={after[1]}", last=None)
        assert [each["ids"] for name, each in events if name == "message"] == [["r_1"]]


@pytest.mark.parametrize(
    "query",
    [
        "?after=a%0d%0ab",
        "?after=" + "x" * 301,
        "?sessions=perhaps",
        "?live=true&sessions=2&x=" + "y" * 5000,
    ],
)
async def test_a_query_that_is_not_accepted_begins_no_stream(query: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        root = await visits.of("admin")
        assert (await root.get(f"/events{query}")).status_code in (400, 422)


async def test_a_hundred_open_pages_share_the_work(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await furnished(visits)
        looks = Counted.looks
        for number in range(30):
            name = f"s_{number + 10}"
            visits.registry.add(name, Counted(view(name, "requester")))  # type: ignore[arg-type]
        console = visits.console
        pages = []
        for number in range(100):
            name = f"auditor-{number}"
            visits.provider.people[name] = who(name, AUDITORS)
            transport = httpx.ASGITransport(console, client=(f"10.0.{number}.9", 40000))
            pages.append(Visitor(httpx.AsyncClient(transport=transport, base_url=ORIGIN), visits))
            assert (await pages[-1].sign_in(name)).status_code == 303
        worked = _state.cache_info().misses
        streams = [asyncio.create_task(each.get("/events?sessions=true")) for each in pages]
        async with asyncio.timeout(120):
            while visits.feed._readers.total() < 100:
                await asyncio.sleep(0)
            visits.feed.close()
            responses = await asyncio.gather(*streams)
        assert {each.status_code for each in responses} == {200}
        seconds_of_looks = (Counted.looks - looks) / 30
        assert _state.cache_info().misses - worked <= seconds_of_looks < 100, "once for each look, not for each page"


async def test_an_event_is_worked_on_once_however_many_pages_follow_it() -> None:
    event = b"id: n1:9\nevent: request.made\ndata: " + record("request.made", request="r_once") + b"\n\n"

    async def stream() -> AsyncIterator[bytes]:
        yield bytes(bytearray(event))  # each page has its own bytes

    worked = event_for_page.cache_info().misses
    shown = {each for _ in range(10) async for events in for_pages(stream()) for each in events}
    assert len(shown) == 1
    assert event_for_page.cache_info().misses - worked == 1


def test_what_is_no_record_stays_as_it_is() -> None:
    for event in (b"retry: 3000", b": still here", b"event: gap\ndata: {}", b'event: end\ndata: {"reference":"x"}'):
        assert event_for_page(event) == event


async def test_events_are_whole_however_they_arrive() -> None:
    whole = b"retry: 3000\n\nid: n1:7\nevent: request.made\ndata: " + record("request.made") + b"\n\n: still here\n\n"

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for at in range(0, len(whole), size):
            yield whole[at : at + size]

    expected = [each async for events in for_pages(pieces(len(whole))) for each in events]
    assert len(expected) == 3
    assert expected[1].startswith(b"id: n1:7\ndata: {")
    for size in (1, 2, 7, 100):
        assert [each async for events in for_pages(pieces(size)) for each in events] == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "–"), (0, "0 B"), (9999, "9\u202f999 B"), (12_000, "12 kB"), (12_345_678, "12 MB")],
)
def test_sizes_have_a_unit(size: int | None, text: str) -> None:
    assert size_text(size) == text
