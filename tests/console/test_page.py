"""What stands around every page: roles, the CSRF token, notices, errors, and a sign-in before an approval."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.errors import JournalUnavailable
from pgjit.policy.grant_terms import SignInTerms
from tests.console.example_page import ENTRIES, done
from tests.console.visits import ORIGIN, Visitor, Visits


@pytest.fixture
async def visits(tmp_path: Path) -> AsyncIterator[Visits]:
    done.clear()
    async with Visits(tmp_path, entries=ENTRIES) as visits:
        yield visits


async def test_a_page_is_open_to_its_roles_alone(visits: Visits) -> None:
    statuses = {}
    for name in ("nobody", "requester", "reviewer", "auditor", "admin"):
        visitor = await visits.of(name)
        statuses[name] = [(await visitor.get(path)).status_code for path in ("/ours/r_no", "/things", "/things/live")]
    assert statuses == {
        "nobody": [403, 403, 403],
        "requester": [404, 403, 403],
        "reviewer": [404, 403, 403],
        "auditor": [403, 200, 200],
        "admin": [403, 200, 200],
    }


async def test_who_may_not_open_a_page_reads_which_groups_would_open_it(visits: Visits) -> None:
    page = await (await visits.of("reviewer")).get("/things")
    assert "which is given by: g-auditors, g-admins." in page.text


async def test_the_navigation_has_the_open_pages_alone(visits: Visits) -> None:
    page = await (await visits.of("auditor")).get("/things")
    assert 'href="/things" aria-current="page"' in page.text
    assert 'href="/ours"' not in page.text


async def test_the_first_page_is_the_first_that_is_open(visits: Visits) -> None:
    assert (await (await visits.of("auditor")).get("/")).headers["location"] == "/things"
    assert (await (await visits.of("reviewer")).get("/")).headers["location"] == "/ours"
    page = await (await visits.of("nobody")).get("/")
    assert (page.status_code, "No page is open to you" in page.text) == (403, True)


async def test_a_form_does_its_work_once_and_the_next_page_says_so_once(visits: Visits) -> None:
    ana = await visits.of("auditor")
    response = await ana.post("/things", {"name": "a <b>"})
    assert (response.status_code, response.headers["location"], done) == (303, "/things", ["a <b>"])
    page = await ana.get("/things")
    assert "done: a &lt;b&gt;" in page.text
    assert "done:" not in (await ana.get("/things")).text


async def test_a_notice_of_somebody_else_is_not_shown(visits: Visits) -> None:
    ana, ben = await visits.of("auditor"), await visits.of("admin")
    await ana.post("/things", {"name": "x"})
    ben.client.cookies.set("__Host-pgjit-notice", ana.client.cookies["__Host-pgjit-notice"], domain="console.test")
    assert "done:" not in (await ben.get("/things")).text


@pytest.mark.parametrize("path", ["/things", "/things/careless"])
async def test_nothing_is_done_without_the_token_of_the_sign_in(path: str, visits: Visits) -> None:
    ana, ben = await visits.of("auditor"), await visits.of("auditor")
    for token in ("", "x", await ben.csrf()):
        response = await ana.post(path, {"csrf": token, "name": "x"})
        assert (response.status_code, done) == (403, [])
    response = await ana.post(path, {"csrf": "", "name": "x"}, headers={"x-pgjit-csrf": await ana.csrf()})
    assert (response.status_code, len(done)) == (303, 1)


async def test_an_unreadable_form_changes_nothing(visits: Visits) -> None:
    ana = await visits.of("auditor")
    token = await ana.csrf()
    headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "x-pgjit-csrf": token}
    form = {"content-type": "application/x-www-form-urlencoded"}
    bodies = {
        b'{"name": "x"}': ({"content-type": "application/json"}, 415),
        b"name=%ff": (form, 400),
        b"name=\xff": (form, 400),
        b"&".join(b"a=1" for _ in range(200)): (form, 400),
        b"name=" + b"x" * 70_000: (form, 413),
        b"name=a&name=b": (form, 400),
        b"name=": (form, 400),
        b"name=a%00b": (form, 400),
        b"name=a%0Ab": (form, 400),
    }
    for body, (kind, status) in bodies.items():
        response = await ana.client.post("/things", content=body, headers={**headers, **kind})
        assert (response.status_code, done) == (status, []), body


async def test_what_the_api_refuses_is_a_page_with_its_words(visits: Visits) -> None:
    page = await (await visits.of("reviewer")).get("/ours/r_no")
    assert page.status_code == 404
    assert "request-unknown" in page.text


async def test_an_error_that_no_page_expects_shows_no_trace(visits: Visits, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        page = await (await visits.of("auditor")).get("/things/fails")
    assert page.status_code == 500
    assert "secret" not in page.text
    assert "a secret of auditor" in caplog.text


async def test_a_role_that_was_taken_away_closes_the_open_page(visits: Visits) -> None:
    ana = await visits.of("auditor")
    token = await ana.csrf()
    visits.provider.people["auditor"] = replace(visits.provider.people["auditor"], groups=frozenset())
    response = await ana.post("/things", {"csrf": token, "name": "x"})
    assert (response.status_code, done) == (403, [])
    assert (await ana.get("/things")).status_code == 403


async def test_who_is_refused_by_the_provider_is_signed_out(visits: Visits) -> None:
    ana = await visits.of("auditor")
    del visits.provider.people["auditor"]
    assert (await ana.get("/things")).headers["location"] == "/sign-in?to=%2Fthings"
    assert visits.sign_ins.sign_ins == {}


async def test_what_a_page_fetches_by_itself_is_no_use_of_the_sign_in(visits: Visits) -> None:
    ana = await visits.of("auditor")
    begun = visits.now
    for minutes in (10, 20):
        visits.now = begun + timedelta(minutes=minutes)
        assert (await ana.get("/things/live")).text == "True"
    visits.now = begun + timedelta(minutes=30)
    response = await ana.get("/things/live", headers={"sec-fetch-dest": "empty"})
    assert response.status_code == 401


async def test_a_call_of_a_page_is_recorded_as_a_call_of_the_api(visits: Visits) -> None:
    ana = await visits.of("auditor")
    await ana.get("/things")
    assert visits.calls() == [("auditor", "auditor", "GET", "/signed-in"), ("auditor", "auditor", "GET", "/windows")]


async def test_without_the_journal_a_page_shows_nothing_of_others(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await visits.of("auditor")

    def full(_events: object) -> None:
        raise JournalUnavailable

    monkeypatch.setattr(visits.journal, "append", full)
    page = await ana.get("/things")
    assert page.status_code == 503
    assert "could not be recorded" in page.text


# --- a sign-in before an approval ---


async def _asked(visits: Visits, terms: SignInTerms) -> str:
    reviewed = visits.policies["reviewed"]
    changed = replace(reviewed, terms=replace(reviewed.terms, reviewer_sign_in=terms))
    visits.policies["reviewed"] = changed
    made = await visits.post("requests", "requester", {"policy": "reviewed", "reason": "a look"})
    return str(made.json()["id"])


async def _approve(reviewer: Visitor, request: str) -> tuple[int, str]:
    response = await reviewer.post(f"/ours/{request}/approve", {"ttl": "10m"})
    return response.status_code, response.text


async def test_an_approval_waits_for_a_fresh_sign_in(visits: Visits) -> None:
    request = await _asked(visits, SignInTerms(within=timedelta(minutes=15), acrs=frozenset({"c1"})))
    people = visits.provider.people
    ana = await visits.of("reviewer")
    _, text = await _approve(ana, request)
    assert "fresh-sign-in-needed" in text, text
    link = f"/sign-in/start?to=%2Fours%2F{request}&amp;again=true&amp;context=c1"
    assert link in text
    assert visits.sign_ins.all_requests[request].state == "pending"

    people["fresh"] = replace(people["reviewer"], acrs=frozenset({"c1"}), signed_in_at=visits.now)
    started = await ana.client.get(link.replace("&amp;", "&"))
    assert visits.login.asked[-1] == (True, ("c1",))
    visits.login.person = "fresh"
    state = started.headers["location"].partition("state=")[2]
    back = await ana.client.get("/signed-in", params={"state": state, "code": "a code"})
    assert back.headers["location"] == f"/ours/{request}"
    visits.now += timedelta(minutes=14)
    assert (await _approve(ana, request))[0] == 303
    assert visits.sign_ins.all_requests[request].state == "approved"


async def test_a_sign_in_gets_too_old_for_an_approval(visits: Visits) -> None:
    request = await _asked(visits, SignInTerms(within=timedelta(minutes=15)))
    people = visits.provider.people
    people["reviewer"] = replace(people["reviewer"], signed_in_at=visits.now)
    ana = await visits.of("reviewer")
    visits.now += timedelta(minutes=16)
    _, text = await _approve(ana, request)
    assert "fresh-sign-in-needed" in text, text
    assert "yours is older" in text
    assert visits.sign_ins.all_requests[request].state == "pending"
