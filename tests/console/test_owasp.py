"""What OWASP's lists ask of such an application, each as a test over every path and every role.

| of the Top 10 (2021) and the cheat sheets | tests |
|---|---|
| A01 access control: deny by default, role by page | `test_nothing_is_served_...`, `test_each_page_is_open_...` |
| A01 cross-site request forgery | `test_no_form_of_another_site_...`, `test_an_approval_...`, `test_a_get_...` |
| A01 cross-origin resource sharing | `test_no_other_origin_reads_a_response` |
| A02 cryptographic failures: transport, caches, storage | `test_every_response_...`; `test_signing_in.py` |
| A03 injection: script, markup, headers | `test_what_an_agent_writes_is_text`, `test_no_input_becomes_a_header` |
| A04 insecure design: limits | `test_signing_in.py`, `tests/api/test_gate.py` |
| A05 misconfiguration: methods, traces, documentation | `test_other_methods_...`, `test_nothing_but_pages_...` |
| A07 authentication: fixation, ends, sign-out | `test_signing_in.py` |
| A08 integrity: nothing from elsewhere | `test_pages_load_nothing_from_elsewhere` |
| A09 logging: sign-ins and calls are records | `test_signing_in.py`, `test_page.py` |
| A10 request forgery by the server, open redirects | `test_the_host_header_...`; `test_signing_in.py` |
| clickjacking | `test_every_response_has_the_headers` |
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from pgjit.api.caller import CallerRole
from pgjit.console.browser_rules import headers_of
from pgjit.identity.identity import IdentityKey
from tests.api.people import TENANT
from tests.console.every_path import FORMS, READ, paths
from tests.console.visits import ORIGIN, Visits

PEOPLE = {
    "nobody": set(),
    "requester": {CallerRole.REQUESTER},
    "reviewer": {CallerRole.REVIEWER},
    "auditor": {CallerRole.AUDITOR},
    "admin": {CallerRole.ADMIN},
}
EVIL = "https://evil.test"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\"'&\u202etxt"


@pytest.fixture
async def visits(tmp_path: Path) -> AsyncIterator[Visits]:
    async with Visits(tmp_path) as visits:
        visits.login.renewed = None
        yield visits


def decided(response: httpx.Response) -> str:
    """Whether the guard let it through: what the page then answers is its own."""
    if response.status_code == 303 and response.headers["location"].startswith("/sign-in"):
        return "sign in"
    return "closed" if response.status_code == 403 and "page-not-open" in response.text else "open"


async def test_nothing_is_served_to_who_is_not_signed_in(visits: Visits) -> None:
    browser = visits.browser()
    for each in READ:
        response = await browser.get(each.filled())
        assert decided(response) == "sign in", each
        response = await browser.get(each.filled(), headers={"sec-fetch-dest": "empty"})
        assert response.status_code == 401, each
    for each in FORMS:
        response = await browser.post(each.filled(), {"csrf": "x"})
        assert response.status_code == 401, each
    assert visits.calls() == []


@pytest.mark.parametrize("name", PEOPLE)
async def test_each_page_is_open_to_its_roles_and_to_no_other(name: str, visits: Visits) -> None:
    visitor = await visits.of(name)
    token = await visitor.csrf()
    for each in (*READ, *FORMS):
        if each.template == "/sign-out" or each.template.startswith(("/events", "/proof/verify")):
            continue
        is_open = each.template == "/" or not PEOPLE[name].isdisjoint(each.roles)
        if each.method == "GET":
            response = await visitor.get(each.filled())
        else:
            response = await visitor.post(each.filled(), {"csrf": token})
        assert decided(response) == ("open" if is_open else "closed"), each
    assert visits.ending.killed == []
    assert (visits.sign_ins.all_requests, visits.sign_ins.all_locks) == ({}, {})


async def test_no_form_of_another_site_does_anything(visits: Visits) -> None:
    admin = await visits.of("admin")
    token = await admin.csrf()
    before = len(visits.calls())
    crafted: list[dict[str, str]] = [
        {"sec-fetch-site": "cross-site", "origin": EVIL},
        {"sec-fetch-site": "cross-site", "origin": ORIGIN},
        {"sec-fetch-site": "same-site", "origin": EVIL},
        {"sec-fetch-site": "none", "origin": ""},
        {"sec-fetch-site": "same-origin", "origin": EVIL},
        {"sec-fetch-site": "same-origin", "origin": "null"},
        {"origin": "null"},
        {"origin": f"{ORIGIN}.evil.test"},
        {"origin": ORIGIN.replace("https", "http")},
        {"origin": f"{ORIGIN}:444"},
        {},
    ]
    for each in FORMS:
        for headers in crafted:  # with the token: each of the two alone is enough to refuse
            response = await admin.client.post(each.filled(), data={"csrf": token, "reason": "x"}, headers=headers)
            assert (response.status_code, "cross-site-call" in response.text) == (403, True), (each, headers)
        for wrong in ("", token[:-1], token.swapcase(), "A" * 43):
            response = await admin.post(each.filled(), {"csrf": wrong, "reason": "x"})
            assert (response.status_code, "cross-site-call" in response.text) == (403, True), each
    assert len(visits.calls()) == before
    assert (await admin.get("/requests")).status_code == 200


async def test_an_approval_by_a_crafted_form_fails(visits: Visits) -> None:
    made = await visits.post("requests", "requester", {"policy": "reviewed", "reason": "a look"})
    request = made.json()
    reviewer = await visits.of("reviewer")
    place = next(each for each in FORMS if each.template.endswith("/approve")).filled(request["id"])
    form = {"digest": request["digest"], "cap": "whole", "asked": str(request["ttl_seconds"])}
    for headers in ({"origin": EVIL, "sec-fetch-site": "cross-site"}, {"origin": EVIL}, {}):
        for csrf in ({}, {"csrf": ""}, {"csrf": await reviewer.csrf()}):
            refused = await reviewer.client.post(place, data={**form, **csrf}, headers=headers)
            assert refused.status_code == 403
    assert (await reviewer.post(place, {**form, "csrf": ""})).status_code == 403
    assert visits.sign_ins.all_requests[request["id"]].state == "pending"
    assert (await reviewer.post(place, form)).status_code == 303
    assert visits.sign_ins.all_requests[request["id"]].state == "approved"


async def test_a_get_changes_nothing(visits: Visits) -> None:
    made = await visits.post("requests", "requester", {"policy": "reviewed", "reason": "a look"})
    admin = await visits.of("admin")
    before = dict(visits.sign_ins.all_requests)
    for each in FORMS:
        response = await admin.get(each.filled(made.json()["id"]))
        assert response.status_code in (200, 303, 404, 405, 422), each
    assert before == visits.sign_ins.all_requests
    assert len(visits.sign_ins.sign_ins) == 1


async def test_every_response_has_the_headers(visits: Visits) -> None:
    admin, stranger = await visits.of("admin"), visits.browser()
    responses = [await stranger.get(place) for place in ("/", "/sign-in", "/sign-in/start", "/signed-in", "/none")]
    responses += [await admin.get(each.filled()) for each in READ if not each.template.startswith("/events")]
    responses += [await admin.post("/requests/x/approve", {"csrf": "x"}), await stranger.post("/sign-out", {})]
    responses += [await admin.client.request(method, "/requests") for method in ("PUT", "OPTIONS")]
    assert {response.status_code for response in responses} >= {200, 303, 400, 401, 403, 404, 405}
    for response in responses:
        for name, value in headers_of(ORIGIN).items():
            assert response.headers.get_list(name) == [value], (name, response.request.url)
        assert response.headers["cache-control"] == "no-store", response.request.url
        assert "server" not in response.headers
        assert "x-powered-by" not in response.headers
    policy = headers_of(ORIGIN)["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_no_other_origin_reads_a_response(visits: Visits) -> None:
    admin = await visits.of("admin")
    for place in ("/requests", "/static/console.css", "/none"):
        response = await admin.get(place, headers={"origin": EVIL})
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


async def test_what_an_agent_writes_is_text(visits: Visits) -> None:
    people = visits.provider.people
    key = IdentityKey(TENANT, MARKUP)  # the subject of a token, which an issuer may let people choose
    people["requester"] = replace(people["requester"], display=MARKUP, key=key)
    body = {"policy": "reviewed", "reason": MARKUP, "ticket": MARKUP}
    made = (await visits.post("requests", "requester", body)).json()
    reviewer = await visits.of("reviewer")
    for place in ("/requests", f"/requests/{made['id']}"):
        page = await reviewer.get(place)
        assert page.status_code == 200
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
        for dangerous in ("<script>alert", "<img src=x", "\u202e", "onerror=alert(1)>"):
            assert dangerous not in page.text.replace("onerror=alert(1)&gt;", ""), dangerous
        assert "{{ 7 * 7 }}" in page.text
        titles = [value for name, value in _attributes(page.text) if name == "title"]
        assert f"{TENANT}/{MARKUP}".replace("\u202e", "[U+202E]") in titles
        assert {name for name, _ in _attributes(page.text)} & {"unseen", "onerror", '"'} == set()


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += attrs


def _attributes(page: str) -> list[tuple[str, str | None]]:
    parser = _Attributes()
    parser.feed(page)
    return parser.found


async def test_no_input_becomes_a_header(visits: Visits) -> None:
    admin = await visits.of("admin")
    split = "x\r\nset-cookie: evil=1\r\n\r\n<script>"
    for place in ("/requests", "/sign-in", "/sign-in/start", "/windows", "/audit"):
        for name in ("to", "state", "q", "identity", "policy", "cursor"):
            response = await admin.get(place, params={name: split})
            assert "evil" not in response.headers.get("set-cookie", "")
            assert "\n" not in response.headers.get("location", "")
    response = await admin.post("/requests/x/refuse", {"reason": split})
    assert "evil" not in response.headers.get("set-cookie", "")


async def test_other_methods_are_refused(visits: Visits) -> None:
    admin = await visits.of("admin")
    headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "x-pgjit-csrf": await admin.csrf()}
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND"):
        for place in ("/", "/requests", "/sign-out", "/static/console.css"):
            response = await admin.client.request(method, place, headers=headers)
            assert response.status_code == 405, (method, place)
    assert len(visits.sign_ins.sign_ins) == 1


async def test_nothing_but_pages_is_served(visits: Visits) -> None:
    admin = await visits.of("admin")
    for place in (
        "/docs", "/redoc", "/openapi.json", "/static/../page.py", "/static/%2e%2e/page.py", "/static/..%2fpage.py",
        "/static/", "/static", "/static/page.py", "/templates/base.html", "/.git/config", "/admin", "/metrics",
        "/healthz", "//requests", "/requests/", "/REQUESTS",
    ):  # fmt: skip
        response = await admin.get(ORIGIN + place)
        assert response.status_code in (404, 405), place
        assert "Traceback" not in response.text
    for place in ("/api", "/api/", "/api/v1/whoami", "/api/v1/openapi.json"):
        response = await admin.get(place)
        assert response.status_code == 401, place  # the cookie opens no API
        assert response.headers["content-type"] == "application/problem+json"


async def test_pages_load_nothing_from_elsewhere(visits: Visits) -> None:
    admin = await visits.of("admin")
    for each in READ:
        if each.template.startswith("/events"):
            continue
        page = await admin.get(each.filled())
        if not page.headers.get("content-type", "").startswith("text/html"):
            continue
        for attribute in re.findall(
            r"""\b(?:src|href|action|formaction|data|poster|srcset)=["']([^"']*)""", page.text
        ):
            assert re.match(r"(/(?![/\\])|#|\?|$)", attribute), (each, attribute)
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon[a-z]+=|javascript:", page.text), each
        assert not re.search(r"<(iframe|object|embed|base|meta http-equiv)", page.text), each


async def test_the_host_header_decides_nothing(visits: Visits) -> None:
    admin = await visits.of("admin")
    for headers in ({"host": "evil.test"}, {"x-forwarded-host": "evil.test", "forwarded": "host=evil.test"}):
        for place in ("/", "/requests", "/sign-in", "/none"):
            response = await admin.get(place, headers=headers)
            assert "evil" not in response.text + str(response.headers)
        response = await admin.client.post(
            "/requests/x/approve",
            data={"csrf": await admin.csrf()},
            headers={"origin": "https://evil.test", **headers},
        )
        assert response.status_code == 403


def test_every_path_is_in_the_tables() -> None:
    everything = list(paths())
    assert {each.method for each in everything} == {"GET", "POST"}
    assert len(FORMS) >= 8
    assert len({(each.method, each.template) for each in everything}) == len(everything)
