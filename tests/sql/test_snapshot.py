"""A catalog as it is read from a server, and as it is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgjit.errors import InvalidFile
from pgjit.sql.catalog import Cast, Catalog, Dependency, QName
from tests.sql.snapshots import STORED, trimmed


def test_the_stored_catalog_is_that_of_the_schema(live_catalog: Catalog, catalog: Catalog) -> None:
    """Where this fails: python -m tests.sql.snapshots."""
    live = trimmed(live_catalog)

    assert {name: sorted(names) for name, names in live.relations.items()} == {
        name: sorted(names) for name, names in catalog.relations.items()
    }
    for schema in ("public", "sales", "hr"):
        assert live.relations[schema] == catalog.relations[schema]
        assert live.functions.get(schema) == catalog.functions.get(schema)
        assert live.operators.get(schema) == catalog.operators.get(schema)
        assert live.types.get(schema) == catalog.types.get(schema)
    assert (live.casts, live.search_path, live.database) == (catalog.casts, catalog.search_path, catalog.database)


def test_a_catalog_comes_back_from_its_json(live_catalog: Catalog) -> None:
    again = Catalog.from_json(live_catalog.to_json())

    assert again == live_catalog
    assert again.version == live_catalog.version


def test_a_changed_catalog_has_another_version(catalog: Catalog) -> None:
    assert Catalog.from_json(catalog.to_json().replace(b"salary", b"wage")).version != catalog.version


def test_rows_used_as_a_whole_are_found_in_the_text_of_a_view(live_catalog: Catalog) -> None:
    (read,) = live_catalog.relations["public"]["rows_of"].reads

    assert read == Dependency(QName("public", "customers"), ("email", "id", "name", "note"))


def test_numbers_of_types_stay_with_the_server(live_catalog: Catalog) -> None:
    assert live_catalog.types["public"]["mood"].oids
    assert not Catalog.from_json(live_catalog.to_json()).types["public"]["mood"].oids


def test_an_enum_that_something_takes_is_none_that_a_parameter_may_be(live_catalog: Catalog) -> None:
    mood = live_catalog.types["public"]["mood"]  # there are functions, operators of it

    assert mood.kind == "e"
    assert len(mood.oids) == 2
    assert not live_catalog.enums
    without = replace(live_catalog, functions={}, operators={})
    assert without.enums == frozenset(mood.oids)
    cast = Cast(QName("pg_catalog", "text"), QName("public", "mood"), QName("public", "to_text"))
    assert not replace(without, casts=(cast,)).enums


def test_the_system_is_in_it(live_catalog: Catalog) -> None:
    assert "pg_authid" in live_catalog.relations["pg_catalog"]
    assert all(function.builtin for function in live_catalog.functions["pg_catalog"]["lower"])
    assert not any(relation.reads for relation in live_catalog.relations["pg_catalog"].values())


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", STORED.read_bytes().replace(b'"kind"', b'"sort"')])
def test_what_is_no_catalog_is_told(text: bytes) -> None:
    with pytest.raises(InvalidFile, match="the catalog has 1 fault"):
        Catalog.from_json(text)
