"""Every path and field of the console with values of every kind: none is an error of ours, none becomes markup."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pgjit.console.pages
from pgjit.console.browser_rules import headers_of
from tests.api.test_access_matrix import furnished
from tests.console import every_path
from tests.console.every_path import FORMS, OPEN, READ
from tests.console.story import write_story
from tests.console.visits import ORIGIN, Visitor, Visits

_SOURCES = "".join(each.read_text() for each in Path(pgjit.console.pages.__file__).parent.glob("*.py"))
FIELDS = sorted(set(re.findall(r"form\.[a-z]+\(\s*\"([a-z_]+)\"", _SOURCES)))
QUERY = (
    "activity", "begin", "catalog", "connection", "context", "cursor", "from", "group", "identity", "limit", "mine",
    "page", "policy", "q", "relation", "sessions", "since", "state", "text", "to", "until", "v", "window", "windows",
)  # fmt: skip
MARK = "zq<i>zq"
NASTY = (
    "", " ", "0", "-1", "99999999999999999999999", "1e309", "NaN", "true", "null", "[]", "{}", MARK, f'"{MARK}',
    "'; --", "../../etc/passwd", "..\\..", "%00", "\x00", "\x1b[2J", "\u202e\u2066", "\U0001f600", "\ufeff", "\u0661",
    "\u00bd", "\u2028", "\r\nset-cookie: zq=1", "{{ 7 * 7 }}", "${jndi:x}", "2026-13-45T99:99:99Z",
    "2026-11-24T09:00:00Z", "1000000h", "1h", "a" * 2000, "//evil.test", "javascript:alert(1)",
)  # fmt: skip
SKIPPED = ("/events", "/proof/progress")
"""Streams do not end by themselves."""
_PAGES = [each for each in READ if each.template not in SKIPPED]


def check(response: httpx.Response, what: object) -> None:
    assert response.status_code < 500 or response.status_code == 503, (what, response.status_code, response.text)
    for name, value in headers_of(ORIGIN).items():
        assert response.headers.get_list(name) == [value], what
    if response.headers.get("content-type", "").startswith("text/html"):
        assert MARK not in response.text, what
        shown = re.sub(r'<textarea.*?</textarea>|value="[^"]*"', "", response.text, flags=re.DOTALL)  # what was typed
        for hidden in ("Traceback", "\u202e", "\x1b", "jinja2", "pydantic"):
            assert hidden not in shown, what
    assert not any(each.startswith("zq") for each in response.headers.get_list("set-cookie")), what
    place = response.headers.get("location", "/")
    assert place.startswith(("/", "https://provider.test/")), what
    assert not place.startswith("//"), what


@asynccontextmanager
async def visited(folder: Path) -> AsyncIterator[tuple[Visits, list[Visitor]]]:
    async with Visits(folder, requests_per_minute=6000) as visits:
        await furnished(visits)
        write_story(visits, folder, executions=5)
        yield visits, [await visits.of(name) for name in ("admin", "reviewer", "requester")]


def _known(visits: Visits) -> list[str]:
    store = visits.sign_ins
    return [*list(store.all_requests)[:1], *list(store.all_windows)[:1], *list(store.all_locks)[:1], "reading"]


@pytest.fixture
def no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.proxy.rate_limit.RateLimit.wait", lambda _self, _key: 0.0)


async def test_every_path_takes_every_value(tmp_path: Path, no_rates: None) -> None:
    async with visited(tmp_path) as (visits, visitors):
        for value in [*NASTY, *_known(visits)]:
            for each in _PAGES:
                if each.parameters:
                    place = each.filled(httpx.URL("/", params={"x": value}).query.decode()[2:] or "_")
                    check(await visitors[0].get(place), (each, value))
        stranger = visits.browser()
        for value in NASTY:
            for place in OPEN:
                given = dict.fromkeys(("to", "context", "again", "state", "code", "error", "iss", "out"), value)
                check(await stranger.get(place, params=given), (place, value))


async def test_every_query_takes_every_value(tmp_path: Path, no_rates: None) -> None:
    async with visited(tmp_path) as (visits, visitors):
        known = _known(visits)
        for each in _PAGES:
            place = each.filled(known[0])
            for index, value in enumerate([*NASTY, *known]):
                check(await visitors[index % 3].get(place, params=dict.fromkeys(QUERY, value)), (each, value))
            check(await visitors[0].get(place, params=[(name, "x") for name in QUERY for _ in range(3)]), each)


async def test_every_field_of_a_form_takes_every_value(tmp_path: Path, no_rates: None) -> None:
    async with visited(tmp_path) as (visits, visitors):
        known = _known(visits)
        for each in FORMS:
            if each.template == "/sign-out":
                continue
            for index, value in enumerate([*NASTY, *known]):
                form = dict.fromkeys(FIELDS, value)
                for name in ("nothing", known[index % len(known)]):
                    check(await visitors[index % 3].post(each.filled(name), form), (each, value))


class _Served:
    """For tests that do not await."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self._opened = visited(folder)
        self.visits, self.visitors = self.runner.run(self._opened.__aenter__())

    def run(self, method: str, place: str, fields: dict[str, str]) -> httpx.Response:
        visitor = self.visitors[0]
        call: Any = visitor.get(place, params=fields) if method == "GET" else visitor.post(place, fields)
        response: httpx.Response = self.runner.run(call)
        return response

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture
def served(tmp_path: Path, no_rates: None) -> Iterator[_Served]:
    served = _Served(tmp_path)
    yield served
    served.close()


_TEXT = st.text(max_size=40) | st.sampled_from(NASTY)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_at_all_is_an_error_of_ours(served: _Served, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*_PAGES, *(each for each in FORMS if each.template != "/sign-out")]))
    names = QUERY if path.method == "GET" else FIELDS
    values = data.draw(st.dictionaries(st.sampled_from(names), _TEXT.filter(_is_encodable), max_size=6))
    place = path.filled(data.draw(st.sampled_from(["nothing", *_known(served.visits)])))
    check(served.run(path.method, place, values), (path, values))


def _is_encodable(text: str) -> bool:
    return not any(0xD800 <= ord(each) <= 0xDFFF for each in text)


def test_the_fields_of_all_forms_are_known() -> None:
    assert {"reason", "digest", "cap"} <= set(FIELDS)
    assert every_path.FORMS
