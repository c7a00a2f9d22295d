"""`pgjit revoke`, `kill`, `lock` and `unlock`: what ends sessions is shown, confirmed, and sent once."""

from __future__ import annotations

import re

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.fakes.api_stand_in import AGENT, ApiStandIn

KEY = f"{AGENT['tid']}/{AGENT['oid']}"
WHY = ("--reason", "leaked token")


def test_one_window_is_revoked(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_window()["id"])
    assert run(["revoke", name, *WHY, "--yes"]) == Status.OK
    (seen,) = api.changes
    assert (seen.path, seen.body) == (f"windows/{name}/revoke", {"reason": "leaked token"})
    assert f"window {name} of schema-check-agent is revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (("--identity", KEY), {"identity": KEY}),
        (("--policy", "orders-migration"), {"policy": "orders-migration"}),
        (("--connection", "prod-primary"), {"connection": "prod-primary"}),
        (("--all",), {"all": True}),
    ],
)
def test_all_of_something_is_revoked_or_locked(
    api: ApiStandIn, options: tuple[str, ...], body: dict[str, object]
) -> None:
    api.add_window()
    assert run(["revoke", *options, *WHY, "--yes"]) == Status.OK
    assert run(["lock", *options, *WHY, "--for", "2h", "--yes"]) == Status.OK
    revoked, locked = api.changes
    assert (revoked.path, revoked.body) == ("revoke", {**body, "reason": "leaked token"})
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", locked.body.pop("until"))
    assert (locked.path, locked.body) == ("locks", {**body, "reason": "leaked token"})


@pytest.mark.parametrize(
    "command",
    [("revoke", "--all"), ("revoke", "w_0"), ("kill", "s_0"), ("lock", "--all"), ("lock", "--policy", "p")],
)
def test_without_a_terminal_nothing_ends_without_yes(
    api: ApiStandIn, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    api.windows["w_0"] = api.add_window()
    assert run([*command, *WHY]) == Status.USAGE
    error = capsys.readouterr().err
    assert "there is no terminal: give --yes" in error
    assert "Invalid value" not in error
    assert api.changes == []


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--all", "--policy", "p"),
        ("w_0", "--all"),
        ("--identity", "schema-check-agent"),
        ("--identity", "a/b/c"),
    ],
)
def test_what_is_not_one_thing_is_wrong_usage(api: ApiStandIn, options: tuple[str, ...]) -> None:
    assert run(["revoke", *options, *WHY, "--yes"]) == Status.USAGE
    assert api.changes == []


def test_the_windows_that_would_end_are_shown_first(
    api: ApiStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = str(api.add_window()["id"])
    other, over = str(api.add_window(policy="read-only")["id"]), str(api.add_window(state="ended")["id"])
    monkeypatch.setattr("typer.confirm", lambda question, **_: print(question) is None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run(["revoke", "--policy", "orders-migration", *WHY]) == Status.OK
    before = capsys.readouterr().out.partition("Revoke all")[0]
    assert shown in before
    assert other not in before
    assert over not in before


@pytest.mark.parametrize(
    ("command", "shown", "asked"),
    [
        (("lock", "--policy", "orders-migration"), "w_" + "0" * 32, "Lock policy orders-migration"),
        (("lock", "--all"), "w_" + "0" * 32, "Lock everything"),
        (("lock", "--policy", "other"), "No window is open there.", "Lock policy other"),
        (("kill", "s_" + "0" * 32), "from          10.0.0.7", "End this session?"),
    ],
)
def test_what_would_end_is_shown_before_the_question(
    api: ApiStandIn,
    command: tuple[str, ...],
    shown: str,
    asked: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    api.add_window()
    api.add_session()
    monkeypatch.setattr("typer.confirm", lambda question, **_: print(question) is None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run([*command, *WHY]) == Status.OK
    before, question, _ = capsys.readouterr().out.partition(asked)
    assert question
    assert shown in before


def test_a_no_changes_nothing_and_says_so(
    api: ApiStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("typer.confirm", lambda question, **_: False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run(["lock", "--all", *WHY]) == Status.FAILED
    assert "Nothing was done." in capsys.readouterr().err
    assert api.changes == []


def test_a_session_is_killed(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_session()["id"])
    assert run(["kill", name, *WHY, "--yes"]) == Status.OK
    assert api.changes[0].path == f"sessions/{name}/kill"
    assert capsys.readouterr().out == f"session {name} is ending; its window stays open\n"


def test_a_lock_is_listed_and_lifted(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lock", "--policy", "orders-migration", *WHY, "--yes"]) == Status.OK
    name = next(iter(api.locks))
    assert capsys.readouterr().out == f"lock {name} holds until it is unlocked; what is open there is ending\n"
    assert run(["locks"]) == Status.OK
    assert re.search(rf"{name}  policy  orders-\S+ +no end  leaked token", capsys.readouterr().out)
    assert run(["unlock", name, "--reason", "token replaced"]) == Status.OK
    assert api.changes[-1].query == {"reason": "token replaced"}
    assert api.locks == {}


@pytest.mark.parametrize(
    "until", [("--until", "tomorrow"), ("--until", "2026-12-01T06:00"), ("--for", "2h", "--until", "x")]
)
def test_a_moment_has_its_zone(api: ApiStandIn, until: tuple[str, ...]) -> None:
    assert run(["lock", "--all", *WHY, *until, "--yes"]) == Status.USAGE
    assert api.seen == []
