"""People sign in, stay signed in for a while, and sign out; apps and agents do not sign in at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.errors import ServerUnavailable
from tests.console.visits import ORIGIN, Visits

DOWN = ServerUnavailable("window store cannot be used", reference="store-unavailable", hint="Try again later.")


async def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        browser = visits.browser()
        response = await browser.get("/")
        assert (response.status_code, response.headers["location"]) == (303, "/sign-in?to=%2F")
        page = await browser.get("/sign-in")
        assert page.status_code == 200
        assert "Sign in with a provider" in page.text


async def test_a_person_signs_in_and_out(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        cookie = ana.client.cookies["__Host-pgjit"]
        page = await ana.get("/")
        assert (page.status_code, page.headers["location"]) == (303, "/requests")
        assert cookie not in repr(visits.sign_ins.sign_ins)
        assert "reviewer" not in str([each.sealed for each in visits.sign_ins.sign_ins.values()])
        response = await ana.post("/sign-out")
        assert (response.status_code, response.headers["location"]) == (303, "/sign-in?out=true")
        assert visits.sign_ins.sign_ins == {}
        ana.client.cookies.set("__Host-pgjit", cookie, domain="console.test")
        assert (await ana.get("/")).headers["location"] == "/sign-in?to=%2F"
        assert visits.calls()[0][3] == "/signed-in", "before anything was read"


@pytest.mark.parametrize("who", ["app", "agent", "agent-user", "acted-for"])
async def test_apps_and_agents_cannot_sign_in(who: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        response = await visits.browser().sign_in(who)
        assert response.status_code == 403
        assert "cannot sign in" in response.text
        assert "__Host-pgjit" not in response.cookies
        assert visits.sign_ins.sign_ins == {}
        assert visits.calls() == []
        assert [(name, *rest) for name, _, *rest in visits.refusals()] == [(who, 403, "/signed-in")]


async def test_a_token_that_the_api_refuses_signs_nobody_in(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        response = await visits.browser().sign_in("somebody else")
        assert response.status_code == 403
        assert "not accepted" in response.text
        assert (visits.sign_ins.sign_ins, visits.refused.references) == ({}, ["expired"])


async def test_the_cookie_is_of_this_host_alone_and_no_script_reads_it(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        response = await visits.browser().sign_in("reviewer")
        cookies = response.headers.get_list("set-cookie")
        kept = next(each for each in cookies if each.startswith("__Host-pgjit="))
        assert {part.strip().lower() for part in kept.split(";")[1:]} == {
            "httponly",
            "path=/",
            "samesite=lax",
            "secure",
        }
        flow = next(each for each in cookies if each.startswith("__Host-pgjit-flow="))
        assert "Max-Age=0" in flow


async def test_each_sign_in_has_a_new_secret_and_ends_the_one_before(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        browser = visits.browser()
        browser.client.cookies.set("__Host-pgjit", "A" * 43, domain="console.test")  # of an attacker
        await browser.sign_in("reviewer")
        first = browser.client.cookies["__Host-pgjit"]
        await browser.sign_in("reviewer")
        second = browser.client.cookies["__Host-pgjit"]
        assert len({"A" * 43, first, second}) == 3
        assert len(visits.sign_ins.sign_ins) == 1


async def test_an_answer_counts_only_in_the_browser_that_asked(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        attacker, victim = visits.browser(), visits.browser()
        visits.login.person = "reviewer"
        started = await attacker.client.get("/sign-in/start")
        answer = {"state": started.headers["location"].partition("state=")[2], "code": "a code"}
        assert (await victim.client.get("/signed-in", params=answer)).status_code == 400
        await victim.client.get("/sign-in/start")
        assert (await victim.client.get("/signed-in", params=answer)).status_code == 403
        assert visits.sign_ins.sign_ins == {}


async def test_a_sign_in_ends_without_use_and_at_its_latest_end(tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 30, "absolute_hours": 1}) as visits:
        visits.login.renewed = "reviewer"
        ana = await visits.of("reviewer")
        begun = visits.now
        for minutes in (20, 40):
            visits.now = begun + timedelta(minutes=minutes)
            assert (await ana.get("/")).headers.get("location") != "/sign-in?to=%2F"
        visits.now = begun + timedelta(minutes=60)
        assert (await ana.get("/")).headers["location"] == "/sign-in?to=%2F"
        assert visits.sign_ins.sign_ins == {}

        people = visits.provider.people
        people["auditor"] = replace(people["auditor"], expires_at=visits.now + timedelta(hours=9))
        ana = await visits.of("auditor")
        visits.now += timedelta(minutes=30)
        assert (await ana.get("/")).headers["location"] == "/sign-in?to=%2F"
        assert visits.sign_ins.sign_ins == {}


async def test_tokens_are_renewed_before_they_end(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        later = visits.now + timedelta(minutes=57)
        people = visits.provider.people
        people["renewed"] = replace(people["reviewer"], expires_at=visits.now + timedelta(hours=3))
        visits.login.renewed = "renewed"
        visits.now += timedelta(minutes=28)
        await ana.get("/")
        assert visits.login.renewals == 0
        visits.now = later
        await ana.get("/")
        assert visits.login.renewals == 1
        visits.now += timedelta(minutes=20)
        assert (await ana.get("/")).headers.get("location") != "/sign-in?to=%2F"
        assert visits.login.renewals == 1


async def test_who_gets_no_new_tokens_is_signed_out(tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 120}) as visits:
        ana = await visits.of("reviewer")
        visits.now += timedelta(minutes=58)
        assert (await ana.get("/")).headers["location"] == "/sign-in?to=%2F"
        assert visits.sign_ins.sign_ins == {}


@pytest.mark.parametrize("renewed", ["admin", "acted-for", "no token of anybody"])
async def test_renewed_tokens_of_somebody_else_end_the_sign_in(renewed: str, tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 120}) as visits:
        ana = await visits.of("reviewer")
        people = visits.provider.people
        if renewed in people:
            people["renewed"] = replace(people[renewed], expires_at=visits.now + timedelta(hours=3))
            visits.login.renewed = "renewed"
        else:
            visits.login.renewed = renewed
        visits.now += timedelta(minutes=57)
        before = visits.calls()
        assert (await ana.get("/requests")).headers["location"] == "/sign-in?to=%2Frequests"
        assert visits.sign_ins.sign_ins == {}
        assert visits.calls() == before, "nothing was read as somebody else"


async def test_another_worker_serves_who_signed_in_at_this_one(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        there = visits.browser(visits.console)
        there.client.cookies.set("__Host-pgjit", ana.client.cookies["__Host-pgjit"], domain="console.test")
        assert (await there.get("/")).headers.get("location") != "/sign-in?to=%2F"


async def test_without_the_store_the_page_says_so(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        visits.sign_ins.down = DOWN
        page = await ana.get("/")
        assert page.status_code == 503
        assert "Window store cannot be used" in page.text
        visits.sign_ins.down = None
        assert (await ana.get("/")).status_code != 503


async def test_a_sign_in_that_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await visits.journal.close()
        response = await visits.browser().sign_in("reviewer")
        assert response.status_code == 503
        assert visits.sign_ins.sign_ins == {}


@pytest.mark.parametrize(
    "to",
    [
        "//evil.test/", "https://evil.test/", "/\\evil.test", "\\/evil.test", "/%2f/evil.test", "javascript:alert(1)",
        "/requests\r\nset-cookie: a=b", "/no-such-page", "/sign-out", "/signed-in", "/static/console.css",
        "/@evil.test", "///evil.test", "/.//evil.test", "", "/é", "/requests#x",
    ],
)  # fmt: skip
async def test_nobody_is_sent_to_another_place(to: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        browser = visits.browser()
        response = await browser.sign_in("reviewer", to)
        assert (response.status_code, response.headers["location"]) == (303, "/")
        assert "evil" not in (await browser.client.get("/sign-in", params={"to": to})).text


async def test_many_unknown_cookies_of_one_address_are_slowed_down(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        browser = visits.browser()
        statuses = set()
        for index in range(60):
            headers = {"cookie": f"__Host-pgjit={index:043d}", "sec-fetch-dest": "document"}
            statuses.add((await browser.client.get("/", headers=headers)).status_code)
        assert statuses == {303, 429}


@pytest.mark.parametrize("blank", ["\x85", "\xa0", "\x1c", "\x0b"])
async def test_a_cookie_of_a_sibling_host_signs_nobody_in(blank: str, tmp_path: Path) -> None:
    """Browsers refuse `__Host-` names of others by their first character, which is not a blank to them."""
    async with Visits(tmp_path) as visits:
        attacker = await visits.of("reviewer")
        await attacker.client.get("/sign-in/start")
        names = ("__Host-pgjit", "__Host-pgjit-flow")
        tossed = "; ".join(f"{blank}{name}={attacker.client.cookies[name]}" for name in names)
        victim = visits.browser()
        headers = [(b"cookie", tossed.encode("latin-1")), (b"sec-fetch-dest", b"document")]
        assert (await victim.client.get("/requests", headers=headers)).status_code == 303
        assert (await victim.client.get("/signed-in", headers=headers)).status_code == 400
        ana = await visits.of("auditor")
        own = f"__Host-pgjit={ana.client.cookies['__Host-pgjit']}; {tossed}".encode("latin-1")
        page = await victim.client.get("/requests", headers=[(b"cookie", own)])
        assert (page.status_code, "auditor" in page.text) == (200, True), "her own counts"


async def test_two_cookies_are_no_cookie(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        secret = ana.client.cookies["__Host-pgjit"]
        headers = {"cookie": f"__Host-pgjit={secret}; __Host-pgjit={secret}"}
        response = await visits.browser().client.get(f"{ORIGIN}/", headers=headers)
        assert response.headers["location"] == "/sign-in?to=%2F"


async def test_unknown_cookies_keep_nobody_out_who_is_signed_in(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("reviewer")
        console = visits.console
        browser, same = visits.browser(console), visits.browser(console)
        same.client.cookies = ana.client.cookies
        headers = {"cookie": f"__Host-pgjit={'x' * 43}"}
        while (await browser.client.get("/requests", headers=headers)).status_code != 429:
            continue
        assert (await same.get("/requests")).status_code == 200


async def test_both_tokens_are_of_one_person(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        cases = [({"tid": "t", "oid": "oid-reviewer", "sub": "x"}, 303), ({"sub": "oid-reviewer"}, 303)]
        cases += [({"tid": "t", "oid": "oid-admin", "sub": "oid-reviewer"}, 403), ({"sub": "oid-admin"}, 403)]
        cases += [({"tid": "t", "sub": "oid-reviewer"}, 403), ({}, 403)]
        for claims, status in cases:
            visits.login.id_claims = claims
            assert (await visits.browser().sign_in("reviewer")).status_code == status, claims


async def test_while_one_worker_renews_the_tokens_the_others_use_the_old_ones(tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 120}) as visits:
        ana = await visits.of("reviewer")
        [kept] = visits.sign_ins.sign_ins
        visits.now += timedelta(minutes=57)
        visits.sign_ins.renewing[kept] = visits.now + timedelta(seconds=30)
        assert (await ana.get("/")).headers["location"] == "/requests"
        assert visits.login.renewals == 0


async def test_tabs_that_come_at_once_renew_the_tokens_once(tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 120}) as visits:
        ana = await visits.of("reviewer")
        people = visits.provider.people
        people["renewed"] = replace(people["reviewer"], expires_at=visits.now + timedelta(hours=3))
        visits.login.renewed = "renewed"
        visits.now += timedelta(minutes=61)
        console = visits.console
        tabs = [visits.browser(console) for _ in range(5)]
        for tab in tabs:
            tab.client.cookies = ana.client.cookies
        pages = await asyncio.gather(*(tab.get("/requests") for tab in tabs))
        assert ([page.status_code for page in pages], visits.login.renewals) == ([200] * 5, 1)


async def test_a_provider_that_is_away_ends_no_sign_in(tmp_path: Path) -> None:
    async with Visits(tmp_path, console={"idle_minutes": 120}) as visits:
        ana = await visits.of("reviewer")
        visits.login.away = True
        visits.now += timedelta(minutes=57)
        assert (await ana.get("/requests")).status_code == 200
        visits.now += timedelta(minutes=5)
        page = await ana.get("/requests")
        assert (page.status_code, "Identity provider cannot be used now" in page.text) == (503, True)
        assert len(visits.sign_ins.sign_ins) == 1


async def test_what_was_sealed_for_somebody_else_opens_nothing(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana, ben = await visits.of("reviewer"), await visits.of("admin")
        first, second = visits.sign_ins.sign_ins.values()
        visits.sign_ins.sign_ins[first.id] = replace(first, sealed=second.sealed)
        assert (await ana.get("/requests")).headers["location"] == "/sign-in?to=%2Frequests"
        assert (await ben.get("/requests")).status_code == 200
