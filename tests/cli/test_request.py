"""`pgjit request`: what is sent, and the exit code of each end of the wait."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from pgjit.cli import following
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.clock import Clock
from tests.fakes.api_stand_in import ApiStandIn, problem

NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
ASK = ("request", "orders-migration", "--reason", "add the index")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens in each pause; then time has passed."""
    happens: list[Callable[[], object]] = []
    monkeypatch.setattr(following, "pause", lambda seconds: happens.pop(0)())
    return happens


def test_a_request_is_made_and_shown(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ASK, "--ticket", "OPS-12", "--ttl", "20m"]) == Status.OK
    (seen,) = api.changes
    assert (seen.path, seen.key is not None) == ("requests", True)
    assert seen.body == {
        "policy": "orders-migration", "reason": "add the index", "ticket": "OPS-12", "ttl_seconds": 1200,
    }  # fmt: skip
    printed = capsys.readouterr()
    assert printed.out.startswith("request       r_0000")
    assert "approvals     1 needed, by database-reviewers\n" in printed.out
    assert "It waits for a reviewer." in printed.err


def test_the_documents_of_the_api_are_printed_as_they_are(
    api: ApiStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ASK, "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out) == next(iter(api.requests.values()))


@pytest.mark.parametrize(
    ("state", "status"),
    [("approved", Status.OK), ("used", Status.OK), ("refused", Status.FAILED), ("lapsed", Status.FAILED)],
)
def test_the_wait_ends_with_the_verdict(
    api: ApiStandIn,
    pauses: list[Callable[[], object]],
    capsys: pytest.CaptureFixture[str],
    state: str,
    status: Status,
) -> None:
    pauses += [lambda: None, lambda: next(iter(api.requests.values())).update(state=state)]
    assert run([*ASK, "--wait", "10m"]) == status
    printed = capsys.readouterr()
    assert f"state         {state}\n" in printed.out
    assert printed.err.count("pending, waiting\n") == 1


def test_a_wait_without_a_verdict_has_its_own_exit_code(
    api: ApiStandIn, pauses: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = itertools.count(step=100)
    clock = Clock(wall=lambda: NOW, steady=lambda: float(next(steady)))
    monkeypatch.setattr("pgjit.clock.Clock", lambda: clock)
    pauses += [lambda: None] * 20
    assert run([*ASK, "--wait", "10m"]) == Status.PENDING


def test_an_api_that_is_away_for_a_moment_does_not_end_the_wait(
    api: ApiStandIn, pauses: list[Callable[[], object]], capsys: pytest.CaptureFixture[str]
) -> None:
    def away(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            raise httpx.ConnectError("connection refused")
        return None

    def back() -> None:
        api.before = lambda request: None
        next(iter(api.requests.values())).update(state="approved")

    api.before = away
    pauses.append(back)
    assert run([*ASK, "--wait", "10m"]) == Status.OK
    assert "cannot be reached, waiting" in capsys.readouterr().err


def test_a_refused_request_is_printed_as_every_error(api: ApiStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    api.before = lambda request: problem(403, "max-per-day", "no more windows today", hint="Connect tomorrow.")
    assert run([*ASK]) == Status.FAILED
    assert capsys.readouterr().err == "error: no more windows today [max-per-day]\nhint: Connect tomorrow.\n"


def test_without_a_token_or_an_address_nothing_is_sent(
    api: ApiStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", "no token")
    assert run([*ASK]) == Status.NO_TOKEN
    monkeypatch.delenv("PGJIT_API")
    assert run([*ASK]) == Status.USAGE
    assert "give --api, or set PGJIT_API" in capsys.readouterr().err
    assert run([*ASK, "--api", "http://localhost"]) == Status.UNAVAILABLE
    assert api.seen == []


@pytest.mark.parametrize("extra", [("--ttl", "20"), ("--wait", "soon"), ("--ttl", "0m")])
def test_a_length_of_time_has_its_unit(
    api: ApiStandIn, extra: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ASK, *extra]) == Status.USAGE
    assert "whole number with its unit" in capsys.readouterr().err
    assert api.seen == []
