"""Two catalogs have one fingerprint when they are equal, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.sql.catalog import Cast, Catalog, Column, QName, Type

SHOP = Catalog.from_json((Path(__file__).parents[2] / "policies" / "shop.catalog.json").read_bytes())
ORDERS = SHOP.relations["public"]["orders"]


def _with_orders(**changes: object) -> Catalog:
    orders = replace(ORDERS, **changes)  # type: ignore[arg-type]
    return replace(SHOP, relations={**SHOP.relations, "public": {**SHOP.relations["public"], "orders": orders}})


def _with_type(kind: Type) -> Catalog:
    return replace(SHOP, types={**SHOP.types, "public": {**SHOP.types.get("public", {}), "mood": kind}})


@pytest.mark.parametrize(
    "other",
    [
        _with_orders(owner="somebody"),
        _with_orders(columns=(*ORDERS.columns, Column("more", "text"))),
        _with_orders(parents=(QName("public", "notes"),)),
        _with_type(Type("e")),
        _with_type(Type("d", (QName("public", "f"),))),
        replace(SHOP, casts=(Cast(QName("public", "a"), QName("public", "b"), None),)),
        replace(SHOP, server_version=150018),
        replace(SHOP, search_path=("sales", "public")),
    ],
)
def test_what_differs_has_another_fingerprint(other: Catalog) -> None:
    assert other != SHOP
    assert other.version != SHOP.version


def test_what_was_read_from_its_own_text_has_the_same() -> None:
    assert Catalog.from_json(SHOP.to_json()).version == SHOP.version


def test_numbers_of_types_do_not_count() -> None:
    assert _with_type(Type("e", oids=(16400, 16401))).version == _with_type(Type("e")).version
