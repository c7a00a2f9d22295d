"""`access`: what a group may do now, with the relations of a catalog where one has been read."""

from __future__ import annotations

from pathlib import Path

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
