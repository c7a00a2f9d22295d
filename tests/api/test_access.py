"""`access`: what a group may do now, with the relations of a catalog where one has been read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey
from pgjit.policy.load import Policies
from pgjit.policy.policy import Preset
from pgjit.sql.catalog import Catalog, Column, Relation
from tests.api.people import MEMBERS, NOW, PEOPLE, TENANT, KnownGroups, People
from tests.api.test_access_matrix import furnished

CATALOG = Catalog(
    server_version=180000,
    search_path=("public",),
    relations={"public": {"orders": Relation("r", (Column("id"),)), "orders_id_seq": Relation("S")}},
)


async def test_the_relations_are_those_of_the_catalog(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        path = f"access?group={MEMBERS}"
        reading, reviewed = (await api.get(path, "admin")).json()["policies"]
        assert (reading["relations_known"], reading["relations_more"]) == (None, False)
        assert [each["id"] for each in reading["windows"]] == ["w_1"]
        assert reviewed["grant"] == "review"

        api.use(catalogs=lambda connection: CATALOG if connection == "shop" else None)
        reading = (await api.get(path, "admin")).json()["policies"][0]
        assert reading["relations_known"] == [{"name": "public.orders", "actions": ["select"], "columns_denied": []}]
        assert {"topic": "relations", "text": "all"} in reading["lines"]
        assert "select" in reading["kinds"]


async def test_under_full_access_every_kind_is_listed_by_one_word(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        policies = dict(api.services.policies)
        for name, policy in policies.items():
            policies[name] = replace(policy, statements=replace(policy.statements, access=Preset.FULL))
        api.use(policies=Policies(policies.values()))
        for each in (await api.get(f"access?group={MEMBERS}", "admin")).json()["policies"]:
            assert (each["access"], each["kinds"]) == ("full", ["all"])
            assert {"topic": "statements", "text": "all"} in each["lines"]


async def test_locks_that_bar_it_now_are_listed_for_those_who_may_read_locks(tmp_path: Path) -> None:
    by = Actor(key=PEOPLE["admin"].key, display="admin", via="api")
    scopes = {
        "connection": Scope(ScopeKind.CONNECTION, "shop"),
        "other": Scope(ScopeKind.POLICY, "others"),
        "requester": Scope.of_identity(PEOPLE["requester"].key),
        "somebody": Scope.of_identity(IdentityKey(TENANT, "somebody")),
    }
    async with People(tmp_path, directory=KnownGroups()) as api:
        for name, scope in scopes.items():
            api.store.all_locks[name] = Lock(id=name, scope=scope, reason="x", set_by=by, set_at=NOW)

        async def barring(query: str, person: str) -> list[list[str] | None]:
            found = (await api.get(f"access?{query}", person)).json()["policies"]
            return [each["locks"] and [lock["id"] for lock in each["locks"]] for each in found]

        assert await barring(f"group={MEMBERS}", "auditor") == [["connection"]] * 2
        identity = f"identity={TENANT}/oid-requester"
        assert await barring(identity, "auditor") == [["connection", "requester"]] * 2
        assert await barring(identity, "requester") == [None, None]


async def test_how_a_window_opens_is_said_in_sentences(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        reading, reviewed = (await api.get(f"access?group={MEMBERS}", "requester")).json()["policies"]
    assert reading["terms"][0] == "Connecting is the request: a member of the group is granted it at once."
    assert "waits for people to decide" in reviewed["terms"][0]
