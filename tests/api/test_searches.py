"""Searches that people save: their own, of a name once, so many and no more."""

from __future__ import annotations

from pathlib import Path

from pgjit.errors import ServerUnavailable
from pgjit.grants.saved_search import SavedSearch
from tests.api.people import AUDITORS, NOW, PEOPLE, People, who


async def test_a_search_is_kept_with_what_it_narrows(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        asked = {"name": "refused today", "filter": {"decision": "deny", "since": "today", "after_end": True}}
        saved = (await api.post("audit/searches", "auditor", asked)).json()
        assert (saved["filter"], saved["query"]) == (asked["filter"], None)
        await api.post("audit/searches", "auditor", {"name": "a query", "query": "SELECT 1"})
        items = (await api.get("audit/searches", "auditor")).json()["items"]
        assert [(each["name"], each["query"]) for each in items] == [("a query", "SELECT 1"), ("refused today", None)]
        assert (await api.get("audit/searches", "admin")).json()["items"] == []
        assert [each[2:] for each in api.calls()] == [("POST", "/audit/searches")] * 2


async def test_one_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        first = (await api.post("audit/searches", "auditor", {"name": "x", "query": "SELECT 1"})).json()
        second = (await api.post("audit/searches", "auditor", {"name": "x", "filter": {"text": "orders"}})).json()
        assert (first["id"], second["filter"]) == (second["id"], {"text": "orders"})
        assert len((await api.get("audit/searches", "auditor")).json()["items"]) == 1


async def test_nobody_sees_or_deletes_those_of_others(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.provider.people["auditor2"] = who("auditor2", AUDITORS)
        saved = (await api.post("audit/searches", "auditor", {"name": "x", "query": "SELECT 1"})).json()
        path = f"audit/searches/{saved['id']}"
        for person in ("auditor2", "admin"):
            assert (await api.call("DELETE", path, person)).status_code == 404
        assert (await api.get("audit/searches", "auditor2")).json()["items"] == []
        deleted = await api.call("DELETE", path, "auditor")
        assert (deleted.status_code, deleted.json()["name"]) == (200, "x")
        assert (await api.call("DELETE", path, "auditor")).status_code == 404


async def test_a_person_has_so_many_at_most(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        owner = PEOPLE["auditor"].key
        for number in range(100):
            search = SavedSearch(id=f"q_{number}", owner=owner, name=f"n{number}", body="{}", saved_at=NOW)
            api.store.searches[search.id] = search
        refused = await api.post("audit/searches", "auditor", {"name": "more", "query": "SELECT 1"})
        assert (refused.status_code, refused.json()["reference"]) == (409, "too-many-searches")
        assert (await api.post("audit/searches", "auditor", {"name": "n7", "query": "SELECT 1"})).status_code == 201


async def test_a_malformed_search_is_not_kept(tmp_path: Path) -> None:
    bodies: list[dict[str, object]] = [
        {},
        {"name": "x"},
        {"name": "", "query": "SELECT 1"},
        {"name": "x" * 101, "query": "SELECT 1"},
        {"name": "a\nb", "query": "SELECT 1"},
        {"name": "x", "query": "SELECT 1", "filter": {}},
        {"name": "x", "query": ""},
        {"name": "x", "query": "x" * 4097},
        {"name": "x", "filter": {"identiy": "ana"}},
        {"name": "x", "filter": {"decision": "maybe"}},
        {"name": "x", "filter": {"text": "x" * 513}},
        {"name": "x", "query": "SELECT 1", "owner": "somebody"},
    ]
    async with People(tmp_path) as api:
        for body in bodies:
            assert (body, (await api.post("audit/searches", "auditor", body)).status_code) == (body, 422)
        assert api.store.searches == {}


async def test_a_store_that_is_away_is_a_problem(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.store.searches_fault = ServerUnavailable("window store cannot be used", reference="store-unavailable")
        assert (await api.get("audit/searches", "auditor")).status_code == 503
