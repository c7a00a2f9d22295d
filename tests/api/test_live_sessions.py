"""Events `live`: the sessions as they are, only to those who may list them, and only after a change."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pgjit.api.event_feed import EventFeed
from pgjit.api.event_stream import EventStream
from pgjit.api.live_sessions import LiveSessions
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.registry import Registry, RunningExecution, SessionView
from tests.api.people import NOW, PEOPLE, People, policies
from tests.api.test_access_matrix import furnished
from tests.api.test_event_stream import caller, read

RUNNING = RunningExecution(number=4, started_at=NOW, statement="SELECT '<b>'", more=False, rows=10, bytes=2000)


def view(name: str, owner: str, **changes: Any) -> SessionView:
    whole = SessionView(
        id=name, window=f"w_of_{name}", identity=PEOPLE[owner], policy="reading", connection="shop", backend_pid=7,
        source="10.0.0.7:5", application_name="psql", opened_at=NOW, ends_at=NOW, executions=4, state="active",
        rows=30, bytes=4000, running=RUNNING, used=Usage(rows=30, bytes=4000, statements=4),
        limits=Limits(rows=100, window_rows=500, statement_time=timedelta(seconds=30)),
    )  # fmt: skip
    return replace(whole, **changes)


class Counted:
    """A registered session that counts how often its view is made."""

    looks = 0
    backend_pid = None

    def __init__(self, of: SessionView) -> None:
        self.of = of
        self.window_id, self.identity_key = of.window, of.identity.key

    @property
    def view(self) -> SessionView:
        Counted.looks += 1
        return self.of


class Sessions:
    """A registry with a few sessions, and a clock."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.held: dict[str, Counted] = {}
        self.at = 0.0
        self.live = LiveSessions(self.registry, "n1", lambda: self.at)

    def add(self, name: str, owner: str, **changes: Any) -> None:
        self.held[name] = Counted(view(name, owner, **changes))
        self.registry.add(name, self.held[name])  # type: ignore[arg-type]

    def shown(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.live.text(caller(name)))
        return found


def test_a_session_shows_what_runs_and_what_is_left() -> None:
    sessions = Sessions()
    sessions.add("s_1", "requester")
    [session] = sessions.shown("admin")["sessions"]
    assert session["running"] == {
        "execution": "s_1/4", "started_at": "2026-11-24T09:00:00Z", "statement": "SELECT '<b>'", "more": False,
        "rows": 10, "bytes": 2000, "most_rows": 100, "most_bytes": None, "most_seconds": 30.0,
    }  # fmt: skip
    assert (session["rows"], session["bytes"]) == (30, 4000)
    assert session["budget"] == {
        "statements": {"used": 4, "most": None}, "rows": {"used": 30, "most": 500},
        "bytes": {"used": 4000, "most": None},
    }  # fmt: skip


def test_each_caller_sees_the_sessions_that_it_may_list() -> None:
    sessions = Sessions()
    sessions.add("s_1", "requester")
    sessions.add("s_2", "other")
    seen = {
        name: sorted(each["id"] for each in sessions.shown(name)["sessions"])
        for name in ("admin", "auditor", "requester", "other", "reviewer", "nobody")
    }
    everything = ["s_1", "s_2"]
    assert seen == {
        "admin": everything, "auditor": everything, "requester": ["s_1"], "other": ["s_2"], "reviewer": [],
        "nobody": [],
    }  # fmt: skip


@pytest.mark.parametrize("readers", [("admin", "auditor"), ("requester", "other")])
def test_all_readers_share_one_look(readers: tuple[str, str]) -> None:
    sessions = Sessions()
    for number in range(300):
        sessions.add(f"s_{number}", "requester")
    looks = Counted.looks
    for _ in range(100):
        for reader in readers:
            sessions.shown(reader)
    once = Counted.looks - looks
    assert once <= 300
    sessions.at += 60
    sessions.shown(readers[0])
    assert Counted.looks - looks == 2 * once


def test_those_who_see_all_look_at_the_latest_alone() -> None:
    sessions = Sessions()
    for number in range(5000):
        sessions.add(f"s_{number}", "requester")
    looks = Counted.looks
    shown = sessions.shown("admin")
    assert [shown["sessions"][at]["id"] for at in (0, 199)] == ["s_4999", "s_4800"]
    assert Counted.looks - looks == 200


def test_there_is_an_end_to_one_event() -> None:
    sessions = Sessions()
    for number in range(201):
        sessions.add(f"s_{number}", "requester")
    shown = sessions.shown("admin")
    assert (len(shown["sessions"]), shown["more"]) == (200, True)


async def test_only_a_change_is_sent() -> None:
    sessions = Sessions()
    sessions.add("s_1", "requester")

    async def check() -> Any:
        sessions.at += 60
        return caller("admin")

    stream = EventStream(EventFeed("n1"), policies(), caller("admin"), check, live=sessions.live, seconds=0)
    text = stream.text(None)
    first, *quiet = await read(text, 4)
    assert first.startswith("event: live\ndata: {")
    assert "id:" not in first.partition("data:")[0], "a reader goes on after the last record"
    assert quiet == [": still here\n\n"] * 3
    sessions.held["s_1"].of = view("s_1", "requester", state="idle", running=None)
    changed = [each for each in [await anext(text), await anext(text)] if each.startswith("event")]
    assert [json.loads(each.partition("data: ")[2])["sessions"][0]["state"] for each in changed] == ["idle"]


async def test_the_stream_has_them_where_they_are_asked_for(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.feed.close()
        assert "event: live" not in (await api.get("events", "admin")).text
        assert (await api.get("events?live=maybe", "admin")).status_code == 422
