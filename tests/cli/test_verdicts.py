"""`pgjit approve`, `refuse`, `withdraw` and `sign-off`."""

from __future__ import annotations

import json

import pytest
import typer

from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.fakes.api_stand_in import DIGEST, ApiStandIn


def test_an_approval_is_for_what_was_shown(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_request()["id"])
    assert run(["approve", name, "--ttl", "10m", "--comment", "go", "--yes"]) == Status.OK
    (seen,) = api.changes
    assert (seen.path, seen.body) == (
        f"requests/{name}/approve", {"comment": "go", "ttl_seconds": 600, "digest": DIGEST},
    )  # fmt: skip
    out = capsys.readouterr().out
    for shown in ("schema-check-agent, agent 7c9e6679", "orders-migration, version 3f2a", "20 min",
                  "add the index of week 47", DIGEST, f"request {name} is approved"):  # fmt: skip
        assert shown in " ".join(out.split())


def test_what_changes_after_it_was_shown_is_not_approved(
    api: ApiStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = api.add_request()

    def confirm(question: str, **_: object) -> bool:
        request["digest"] = "sha256:other"
        return True

    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run(["approve", str(request["id"])]) == Status.FAILED
    assert "[approval-void]" in capsys.readouterr().err
    assert request["state"] == "pending"


def test_a_digest_that_was_reviewed_before_is_sent_instead(api: ApiStandIn) -> None:
    name = str(api.add_request()["id"])
    assert run(["approve", name, "--digest", "sha256:older", "--yes"]) == Status.FAILED
    assert api.changes[0].body["digest"] == "sha256:older"


def test_without_a_terminal_an_approval_needs_yes(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_request()["id"])
    assert run(["approve", name]) == Status.USAGE
    error = capsys.readouterr().err
    assert "there is no terminal: give --yes" in error
    assert "Invalid value" not in error
    assert api.changes == []


def test_a_no_at_the_terminal_sends_nothing(api: ApiStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(question: str, **_: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", no)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run(["approve", str(api.add_request()["id"])]) == Status.FAILED
    assert api.changes == []


def test_an_approval_of_several_says_how_many_are_missing(
    api: ApiStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    request = api.add_request(needs=2)
    api.before = lambda sent: request.update(state="pending")
    assert run(["refuse", str(request["id"]), "--reason", "not today"]) == Status.OK
    assert api.changes[0].body == {"reason": "not today"}
    assert f"request {request['id']} is refused" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("refuse", "r"), ("sign-off", "w"), ("request", "p"), ("revoke", "w")])
def test_a_reason_is_required(api: ApiStandIn, command: tuple[str, str]) -> None:
    assert run(command) == Status.USAGE
    assert api.seen == []


def test_a_request_is_withdrawn(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_request()["id"])
    assert run(["withdraw", name, "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out)["state"] == "withdrawn"


def test_a_break_glass_window_is_signed_off(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(api.add_window(break_glass=True)["id"])
    assert run(["sign-off", name, "--comment", "two rows repaired"]) == Status.OK
    assert "signed off    Ada Reviewer" in capsys.readouterr().out
    assert api.changes[0].body == {"comment": "two rows repaired"}


def test_an_unknown_request_is_the_apis_own_error(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["approve", "r_none", "--yes"]) == Status.FAILED
    assert capsys.readouterr().err == "error: request `r_none` is not known [request-unknown]\nhint: Check the id.\n"
