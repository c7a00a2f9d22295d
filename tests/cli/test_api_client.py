"""The client of the API: tokens, keys, repeated calls, and what is reported where no API answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import httpx
import pytest

from pgjit.cli.api_client import ApiClient, ApiProblem, ApiUnreachable
from tests.fakes.api_stand_in import ApiStandIn, problem

URL = "https://pgjit.example.com:8432"


def _client(standin: Callable[[httpx.Request], httpx.Response], tokens: list[str] | None = None) -> ApiClient:
    given = iter(tokens or ["a.b.c"])
    return ApiClient(URL, lambda: next(given), httpx.MockTransport(standin))


def test_one_token_is_fetched_for_all_calls() -> None:
    standin = ApiStandIn()
    with _client(standin) as client:
        client.get("requests")
        client.get("windows")
    assert [each.authorization for each in standin.seen] == ["Bearer a.b.c"] * 2


def test_a_token_that_is_over_is_replaced_once() -> None:
    standin = ApiStandIn()
    answers = iter([None, problem(401, "token-refused", "access token was not accepted"), None])
    standin.before = lambda request: next(answers)
    with _client(standin, ["old.b.c", "new.b.c"]) as client:
        client.get("requests")
        client.get("requests")
    assert [each.authorization for each in standin.seen] == ["Bearer old.b.c", "Bearer old.b.c", "Bearer new.b.c"]


def test_a_token_that_was_never_accepted_is_not_fetched_again() -> None:
    standin = ApiStandIn(before=lambda request: problem(401, "token-refused", "access token was not accepted"))
    with _client(standin) as client, pytest.raises(ApiProblem, match="was not accepted"):
        client.get("requests")
    assert len(standin.seen) == 1


def test_a_call_over_a_broken_connection_is_repeated_with_its_key() -> None:
    standin = ApiStandIn()
    first = itertools.count()

    def broken(request: httpx.Request) -> None:
        if next(first) == 0:
            raise httpx.ReadError("connection reset")

    standin.before = broken
    with _client(standin) as client:
        client.post("requests", body={"policy": "p", "reason": "r"})
        client.post("requests", body={"policy": "p", "reason": "r"})
    keys = [each.key for each in standin.seen]
    assert keys[0] == keys[1] is not None
    assert keys[2] not in (None, keys[0])
    assert len(standin.requests) == 2


def test_pages_are_followed_as_far_as_needed() -> None:
    standin = ApiStandIn(page=2)
    for _ in range(5):
        standin.add_request()
    with _client(standin) as client:
        assert len(list(client.items("requests"))) == 5
        assert len(list(client.items("requests", most=2))) == 2


def test_an_id_never_leads_to_another_path() -> None:
    standin = ApiStandIn()
    with _client(standin) as client, pytest.raises(ApiProblem):
        client.post("requests", "../windows/w?x=1#", "approve", body={})
    (seen,) = standin.seen
    assert seen.query == {}
    assert seen.path.startswith("requests/")


def test_a_problem_is_the_error_that_it_is_with_nothing_that_controls_the_terminal() -> None:
    refused = problem(403, "own-request", "own \x1b[31mrequest", detail="a\nb", hint="Let somebody else approve it.")
    with _client(lambda request: refused) as client, pytest.raises(ApiProblem) as caught:
        client.get("requests")
    expected = "error: own \\u001b[31mrequest [own-request]\ndetail: a b\nhint: Let somebody else approve it."
    assert caught.value.terminal() == expected
    assert caught.value.http_status == 403


@pytest.mark.parametrize("kind", ["", "urn:pgjit:error:", "about:blank", "urn:pgjit:error:A B"])
def test_a_problem_without_a_reference_has_one(kind: str) -> None:
    answer = httpx.Response(400, json={"type": kind}, headers={"content-type": "application/problem+json"})
    with _client(lambda request: answer) as client, pytest.raises(ApiProblem) as caught:
        client.get("requests")
    assert caught.value.reference == "api-refused"
    assert caught.value.message == "call was refused with status 400"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx.Response(200, text="{", headers={"content-type": "application/json"}),
        httpx.Response(200, json=[1]),
        httpx.Response(302, headers={"location": "https://elsewhere.example.com/"}),
    ],
)
def test_what_is_not_the_api_is_reported(answer: httpx.Response) -> None:
    calls = []

    def standin(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.host)
        return answer

    with _client(standin) as client, pytest.raises(ApiUnreachable) as caught:
        client.get("requests")
    assert caught.value.reference == "not-the-api"
    assert calls == ["pgjit.example.com"]


def test_an_api_that_is_away_is_reported_with_the_way_out() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    with _client(away) as client, pytest.raises(ApiUnreachable) as caught:
        client.get("requests")
    assert caught.value.message == f"the API at {URL} cannot be reached"
    assert caught.value.hint == "Give the CA of the API's certificate with --ca, or set PGJIT_API_CA."


def test_a_fault_of_the_api_is_not_a_refusal() -> None:
    answer = problem(503, "journal-unavailable", "call was not carried out because it could not be recorded")
    with _client(lambda request: answer) as client, pytest.raises(ApiUnreachable, match="could not be recorded"):
        client.post("revoke", body={"all": True, "reason": "r"})


@pytest.mark.parametrize(
    "url", ["http://localhost:8432", "https://", "https://u:p@host", "pgjit.example.com", "https://h?x"]
)
def test_a_token_goes_over_tls_only(url: str) -> None:
    fetched = []
    with pytest.raises(ApiUnreachable) as caught:
        ApiClient(url, lambda: fetched.append(1) or "a.b.c", httpx.MockTransport(ApiStandIn()))  # type: ignore[func-returns-value]
    assert caught.value.reference == "api-address"
    assert fetched == []


def test_the_stream_of_events_is_read_line_by_line_where_there_is_one() -> None:
    answer = httpx.Response(200, text="event: gap\ndata: {}\n\n", headers={"content-type": "text/event-stream"})
    with _client(lambda request: answer) as client, client.event_lines() as lines:
        assert lines is not None
        assert list(lines) == ["event: gap", "data: {}", ""]
    refused = problem(403, "role-required", "call is not open to you")
    with _client(lambda request: refused) as client, client.event_lines() as lines:
        assert lines is None
