"""Requests, windows, sessions, locks and access as text: 80 columns, and nothing that controls the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pgjit.cli.event_bell import EventBell
from pgjit.cli.grant_texts import span
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.fakes.api_stand_in import AGENT, ApiStandIn, problem


@pytest.fixture
def full(api: ApiStandIn) -> ApiStandIn:
    long = {**AGENT, "display": "an agent with a \x1b[31mvery long name that its owner chose " * 3}
    for changes in ({}, {"identity": long, "policy": "a-policy-with-a-name-that-is-much-longer-than-the-column"}):
        api.add_request(**changes, state="withdrawn")
        api.add_window(**changes, sessions=1200)
        api.add_session(**changes)
    api.locks["l_0"] = {
        "id": "l_0",
        "kind": "connection",
        "target": "prod-primary",
        "until": None,
        "reason": "x " * 90,
    }
    return api


@pytest.mark.parametrize("command", ["requests", "windows", "sessions", "locks"])
def test_a_table_fits_80_columns_with_whole_ids(
    full: ApiStandIn, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command]) == Status.OK
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    names = list(getattr(full, command))
    assert [line.split()[0] for line in lines[1:]] == names
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("command", ["requests", "windows"])
def test_one_object_is_shown_whole(full: ApiStandIn, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = list(getattr(full, command))[1]
    assert run([command, name]) == Status.OK
    out = capsys.readouterr().out
    assert "a-policy-with-a-name-that-is-much-longer-than-the-column" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_one_session_is_shown_with_its_program_and_its_address(
    full: ApiStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sessions", next(iter(full.sessions))]) == Status.OK
    out = capsys.readouterr().out
    for line in ("program       psql", "from          10.0.0.7", "backend       4711", "node          db-proxy-1"):
        assert line in out
    assert run(["sessions", "s_none"]) == Status.FAILED
    assert "session `s_none` is not live [session-unknown]" in capsys.readouterr().err


def test_one_session_shows_what_it_runs_in_one_line(full: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    running = {"statement": "SELECT 1\n\x1b[31m FROM t", "more": True, "started_at": "2026-11-24T09:00:00Z"}
    name = full.add_session(rows=30, bytes=4000, running=running)["id"]
    assert run(["sessions", name]) == Status.OK
    shown = capsys.readouterr().out
    assert "rows          30, 4000 bytes" in shown
    assert "SELECT 1" in shown
    assert "since         2026-11-24 09:00:00 UTC" in shown
    assert "\x1b" not in shown


def test_sessions_of_several_nodes_have_a_column_for_the_node(
    full: ApiStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sessions"]) == Status.OK
    assert "NODE" not in capsys.readouterr().out, "one node"
    other = full.add_session(node="db-proxy-2", source=None, application_name=None, executions=None, state="unknown")[
        "id"
    ]
    assert run(["sessions"]) == Status.OK
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["SESSION", "STATE", "WHO", "POLICY", "LEFT", "NODE"]
    assert max(map(len, [title, *lines])) <= 80
    assert [line.split()[0] for line in lines] == list(full.sessions)
    assert lines[-1].endswith("2")
    assert run(["sessions", other]) == Status.OK
    out = capsys.readouterr().out
    assert "node          db-proxy-2" in out
    assert "program" not in out


def test_a_list_that_lacks_other_nodes_says_so(full: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    full.page, full.more = 1, {"complete": False}
    assert run(["sessions"]) == Status.OK
    assert "NOT COMPLETE: the store cannot be read." in (out := capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= 80
    assert run(["sessions", "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out) == {"items": list(full.sessions.values()), "complete": False}
    assert run(["sessions", "s_none"]) == Status.UNAVAILABLE
    assert "session `s_none` is not on this node [store-unavailable]" in capsys.readouterr().err
    full.more = {"complete": True}
    assert run(["sessions"]) == Status.OK
    assert "COMPLETE" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["requests", "windows", "sessions", "locks"])
def test_all_pages_are_one_document(full: ApiStandIn, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    full.page = 1
    assert run([command, "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out) == {"items": list(getattr(full, command).values())}


@pytest.mark.parametrize("command", ["requests", "windows", "sessions", "locks"])
def test_an_empty_list_says_so(api: ApiStandIn, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == Status.OK
    assert capsys.readouterr().out.startswith("There is no ")


def test_filters_are_the_apis_own(api: ApiStandIn) -> None:
    assert run(["requests", "--state", "pending", "--mine"]) == Status.OK
    assert api.seen[0].query == {"state": "pending", "mine": "true"}


def test_a_watched_list_is_printed_when_it_changes_and_outlives_an_outage(
    api: ApiStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def goes() -> None:
        api.before = lambda request: problem(503, "store-unavailable", "store cannot be reached")

    def returns() -> None:
        api.before = lambda request: None
        api.add_request(state="lapsed")

    def ends() -> None:
        raise KeyboardInterrupt

    steps: list[Callable[[], None]] = [lambda: None, goes, returns, ends]
    monkeypatch.setattr(EventBell, "wait", lambda self: steps.pop(0)())
    api.add_request()
    assert run(["requests", "--watch", "--json"]) == Status.OK
    printed = capsys.readouterr()
    documents = [json.loads(line) for line in printed.out.splitlines()]
    assert [len(each["items"]) for each in documents] == [1, 2]
    assert printed.err == "store cannot be reached; trying again\n"


def test_what_a_group_may_do_is_shown_by_policy(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    api.access = {
        "policies": [
            {
                "name": "orders-migration", "connection": "prod-primary", "ttl_seconds": 1800, "grant": "review",
                "kinds": ["select", "create-index"], "limits": {"rows": 1000, "bytes": None}, "break_glass": False,
            }
        ]
    }  # fmt: skip
    assert run(["access", "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"]) == Status.OK
    assert api.seen[0].query == {"group": "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"}
    out = capsys.readouterr().out
    assert out == (
        "policy orders-migration\nconnection    prod-primary\nttl           30 min\ngrant         review\n"
        "kinds         select, create-index\nlimits        rows 1000\n"
    )
    assert run(["access"]) == run(["access", "g", "--identity", "a/b"]) == Status.USAGE


def test_lines_take_the_place_of_members_and_windows_are_short(
    api: ApiStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    window = {"id": "w_1", "identity": {"display": "agent"}, "ends_at": "2000-01-01T00:00:00Z"}
    relation = {"name": "public.orders", "actions": ["select"], "columns_denied": ["email"]}
    policy = {
        "name": "p", "kinds": ["select"], "lines": [{"topic": "relations", "text": "all"}], "windows": [window],
        "relations_known": [relation], "relations_more": True,
    }  # fmt: skip
    api.access = {"policies": [policy]}
    assert run(["access", "g"]) == Status.OK
    out = capsys.readouterr().out
    assert out.startswith(
        "policy p\nrelations     all\nknown         public.orders: select, without email\n"
        "known         and more\nopen window   w_1 of agent, until 2000-01-01 00:00:00 UTC ("
    )
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (59, "59s"), (60, "1m"), (7199, "1h59m"), (7200, "2h"), (172800, "2d"), (190000, "2d4h")],
)
def test_a_span_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert span(seconds) == text
