"""A catalog that was sent in parts is the same catalog."""

from __future__ import annotations

import dataclasses

from pgjit.judging.catalog_transfer import pack_catalog, unpack_catalog
from pgjit.sql.catalog import Catalog, Column, Relation
from tests.sql.snapshots import stored_catalog


def _fields(catalog: Catalog) -> dict[str, object]:
    """Also those that are worked out of the others, which do not count when two are compared."""
    return {field.name: getattr(catalog, field.name) for field in dataclasses.fields(catalog)}


def test_a_catalog_in_parts_is_the_same_catalog() -> None:
    catalog = stored_catalog()
    again = unpack_catalog(pack_catalog(catalog))
    assert again == catalog
    assert _fields(again) == _fields(catalog)
    assert list(again.relations) == list(catalog.relations)


def test_no_part_grows_with_the_catalog() -> None:
    stored = stored_catalog()
    many = {f"t{number}": Relation("r", (Column("a", "integer"),)) for number in range(5_000)}
    large = dataclasses.replace(stored, relations={**stored.relations, "many": many})
    before, after = (max(map(len, pack_catalog(catalog))) for catalog in (stored, large))
    assert after <= before
    assert _fields(unpack_catalog(pack_catalog(large))) == _fields(large)
