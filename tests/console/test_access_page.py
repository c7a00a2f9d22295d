"""Access: what a group or an identity can do now, and why there is no answer where there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.sql.catalog import Catalog, Column, Relation
from tests.api.memory_store import a_window
from tests.api.people import MEMBERS, NOW, PEOPLE, TENANT, KnownGroups
from tests.console.visits import Visits

HOSTILE = '<script>alert(1)</script>"\u202e\x1b[2J'
CATALOG = Catalog(
    server_version=180000,
    search_path=("public",),
    relations={"public": {"orders": Relation("r", (Column("id"),)), HOSTILE: Relation("r", (Column("id"),))}},
)


@pytest.fixture
async def visits(tmp_path: Path) -> AsyncIterator[Visits]:
    async with Visits(tmp_path, directory=KnownGroups()) as visits:
        yield visits


async def test_a_group_is_chosen_and_shown(visits: Visits) -> None:
    owner = PEOPLE["requester"]
    visits.store.all_windows["w_1"] = a_window("1", owner.key, NOW, display=HOSTILE)
    auditor = await visits.of("auditor")
    page = await auditor.get("/access")
    assert page.status_code == 200
    assert f'<option value="{MEMBERS}">' in page.text
    page = await auditor.get(f"/access?group={MEMBERS}")
    for text in ("reading", "reviewed", "/windows/w_1", "read-only", "Connecting is the request"):
        assert text in page.text
    assert "are not known: no session has needed its catalog" in page.text


async def test_relations_and_hostile_names_are_shown_as_text(visits: Visits) -> None:
    visits.use(catalogs=lambda _connection: CATALOG)
    page = (await (await visits.of("auditor")).get(f"/access?group={MEMBERS}")).text
    assert "public.orders" in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "U+202E" in page


async def test_a_lock_that_bars_it_is_shown_first(visits: Visits) -> None:
    by = Actor(key=PEOPLE["admin"].key, display="admin", via="api")
    scope = Scope.of_identity(PEOPLE["requester"].key)
    visits.store.all_locks["l_1"] = Lock(id="l_1", scope=scope, reason=HOSTILE, set_by=by, set_at=NOW)
    page = (await (await visits.of("admin")).get(f"/access?identity={TENANT}/oid-requester")).text
    assert "Locked: nothing opens here now" in page
    assert "<script>alert" not in page


async def test_a_requester_sees_the_own_access_and_nobody_elses(visits: Visits) -> None:
    requester = await visits.of("requester")
    page = await requester.get(f"/access?identity={TENANT}/oid-requester")
    assert page.status_code == 200
    assert "Whether a lock bars it now is known to auditors and admins" in page.text
    assert 'href="/policies/' not in page.text
    refused = await requester.get(f"/access?identity={TENANT}/oid-admin")
    assert refused.status_code == 403
    assert "requires the role" in refused.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("identity=nonsense", 422, "TENANT/OBJECT"),
        (f"identity={TENANT}/nobody-known", 200, "it can do nothing here"),
        ("group=no-such-group", 200, "it can do nothing here"),
        ("group=g&identity=a/b", 422, "Give one of"),
        ("group=%3Cscript%3Ealert(1)%3C/script%3E", 200, "it can do nothing here"),
        ("group=a%00b", 422, "not valid"),
        ("group=" + "x" * 301, 422, "group"),
        ("identity=" + "x" * 301, 422, "identity"),
        ("group=" + "x" * 201, 422, "group"),
        ("group=%20%20", 200, "what can it do now"),
        ("identity=a%0d%0aSet-Cookie:x/y", 422, "not valid"),
    ],
)
async def test_bad_input_gets_a_page_that_says_what_is_accepted(
    query: str, status: int, said: str, visits: Visits
) -> None:
    page = await (await visits.of("auditor")).get(f"/access?{query}")
    assert (page.status_code, said.lower() in page.text.lower()) == (status, True), page.text
    assert "<script>alert" not in page.text
    assert "set-cookie" not in page.headers or "x/y" not in page.headers["set-cookie"]


async def test_without_a_directory_the_page_says_how_to_ask_otherwise(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        page = await (await visits.of("auditor")).get(f"/access?identity={TENANT}/oid-requester")
    assert page.status_code == 409
    assert "Ask by `group`" in page.text


async def test_a_store_that_is_away_is_not_an_empty_answer(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = await visits.of("auditor")

    async def away(*_arguments: object) -> None:
        raise ServerUnavailable("window store cannot be used", reference="store-unavailable", hint="Try later.")

    monkeypatch.setattr(visits.store, "windows", away)
    page = await auditor.get(f"/access?group={MEMBERS}")
    assert page.status_code == 503
    assert "window store cannot be used" in page.text
    assert "can do nothing" not in page.text


async def test_reading_about_others_is_recorded(visits: Visits) -> None:
    await (await visits.of("auditor")).get(f"/access?group={MEMBERS}")
    assert ("auditor", "auditor", "GET", "/access") in visits.calls()


async def test_a_lock_on_everything_and_nothing_to_choose(visits: Visits) -> None:
    by = Actor(key=PEOPLE["admin"].key, display="admin", via="api")
    visits.store.all_locks["l_1"] = Lock(id="l_1", scope=Scope(ScopeKind.ALL), reason="x", set_by=by, set_at=NOW)
    nobody = await (await visits.of("nobody")).get("/access")
    assert nobody.status_code == 403
    page = (await (await visits.of("admin")).get(f"/access?group={MEMBERS}")).text
    assert page.count("Locked: nothing opens here now. Lock on all,") == 2


async def test_the_page_of_a_request_leads_to_what_its_identity_can_do_now(visits: Visits) -> None:
    owner, policy = PEOPLE["requester"], visits.services.policies["reviewed"]
    made = await visits.services.requests.make(owner, policy, "shop", reason="schema diff")
    link = f"/access?identity={TENANT}/oid-requester"
    admin = await visits.of("admin")
    assert f'href="{link}"' in (await admin.get(f"/requests/{made.id}")).text
    assert (await admin.get(link)).status_code == 200
    assert link not in (await (await visits.of("reviewer")).get(f"/requests/{made.id}")).text
