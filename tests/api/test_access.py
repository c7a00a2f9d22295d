"""`access`: what a group may do now, with the relations of a catalog where one has been read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgjit.policy.load import Policies
from pgjit.policy.policy import Preset
from pgjit.sql.catalog import Catalog, Column, Relation
from tests.api.people import MEMBERS, People
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
