"""Which relations of a catalog a policy opens."""

from __future__ import annotations

from dataclasses import replace

from pgjit.policy.language import StatementSection
from pgjit.policy.load import terms_of
from pgjit.policy.policy import StatementTerms
from pgjit.policy.relation_access import RelationAccess, relations_in
from pgjit.sql.catalog import Catalog, Column, Dependency, QName, Relation


def terms(**written: object) -> StatementTerms:
    return terms_of(StatementSection.model_validate(written))


ORDERS = QName("public", "orders")
CATALOG = Catalog(
    server_version=180000,
    search_path=("public",),
    relations={
        "pg_catalog": {"pg_class": Relation("v")},
        "public": {
            "orders": Relation("r", (Column("id"), Column("email"))),
            "by_mail": Relation("v", (Column("email"),), reads=(Dependency(ORDERS, ("email",)),)),
            "by_id": Relation("v", (Column("id"),), reads=(Dependency(ORDERS, ("id",)),)),
            "rows": Relation("v", (Column("id"),), reads=(Dependency(ORDERS, whole=True),)),
            "orders_2026": Relation("r", (Column("id"), Column("email")), parents=(ORDERS,)),
            "orders_id_seq": Relation("S"),
        },
    },
)


def names(found: StatementTerms) -> list[str]:
    return [each.name.removeprefix("public.") for each in relations_in(found, CATALOG, 100)[0]]


def test_a_denied_column_denies_the_views_that_read_it() -> None:
    found, more = relations_in(terms(access="read-only", deny=[{"columns": ["public.orders.email"]}]), CATALOG, 100)
    assert not more
    assert found == [
        RelationAccess("public.by_id", ("select",), ()),
        RelationAccess("public.orders", ("select",), ("email",)),
        RelationAccess("public.orders_2026", ("select",), ()),
    ]


def test_a_denied_relation_denies_its_views_and_partitions() -> None:
    assert names(terms(access="read-only", deny=[{"relations": ["public.orders"]}])) == []


def test_writing_is_for_the_relations_that_the_policy_names() -> None:
    allow = [{"kinds": ["insert", "update"], "relations": ["public.orders"]}]
    found, _ = relations_in(terms(access="read-write", allow=allow), CATALOG, 100)
    actions = {each.name: each.actions for each in found}
    assert actions["public.orders"] == ("select", "insert", "update")
    assert actions["public.by_id"] == ("select",)
    assert names(terms(access="read-only", allow=[{"relations": ["public.by_*"]}])) == ["by_id", "by_mail"]


def test_the_list_has_a_limit() -> None:
    found, more = relations_in(terms(access="full"), CATALOG, 2)
    assert ([each.name for each in found], more) == (["public.by_id", "public.by_mail"], True)
    assert relations_in(terms(access="full"), replace(CATALOG, relations={}), 2) == ([], False)
