"""Which calls of a browser are taken for those of our own pages, and what a page says once."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers

from pgjit.console.browser_rules import check_same_origin, headers_of
from pgjit.console.refusals import CrossSiteCall
from tests.console.visits import ORIGIN, Visits
from tests.run.rows import table


@table(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin", "origin": ORIGIN}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": ORIGIN}, True),
        ({"origin": "null"}, False),
        ({}, False),
        ({"sec-fetch-site": "same-site", "origin": "null"}, False),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://elsewhere.test"}, False),
    ],
)
def test_a_form_of_our_own_pages(headers: dict[str, str], ours: bool) -> None:
    try:
        check_same_origin("POST", Headers(headers), ORIGIN)
    except CrossSiteCall:
        assert not ours
    else:
        assert ours


@table(
    ("url", "sent"),
    [
        (ORIGIN, True),
        ("https://pgjit.example.com:8432", True),
        ("https://localhost:8432", False),
        ("https://127.0.0.1:8432", False),
        ("https://[::1]:8432", False),
    ],
)
def test_browsers_keep_https_for_names_of_hosts_alone(url: str, sent: bool) -> None:
    assert ("strict-transport-security" in headers_of(url)) is sent


async def test_a_notice_of_any_length_is_shown_once(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        for name in ("a", "ab", "abc", "é <b>"):
            await ana.post("/audit/searches", {"name": name, "filters": "text=x"})
            said = f"saved as {name}.".replace("<b>", "&lt;b&gt;")
            assert said in (await ana.get("/audit?text=x")).text
            assert said not in (await ana.get("/audit?text=x")).text
