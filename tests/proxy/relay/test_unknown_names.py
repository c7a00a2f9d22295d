"""Names and types that the catalog does not have: what waits until it was read again, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pgjit.judging.judge import Judge
from pgjit.sql.catalog import Column, Relation, Type
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import policy_of
from tests.proxy.relay.transcript import SYNC, both_ends, executions, p, q

UNKNOWN = [
    "SELECT * FROM latest",
    "SELECT latest FROM orders",
    "SELECT latest(1)",
    "SELECT 1::latest",
    "SELECT 1 === 1",
]


@pytest.mark.parametrize("text", UNKNOWN)
@pytest.mark.parametrize("send", [q, p], ids=["simple", "extended"])
def test_before_an_unknown_name_the_relay_stops_and_refuses_it_when_it_is_settled(
    send: Callable[[str], bytes], text: str
) -> None:
    ends = both_ends(SHOP)
    plan = ends.client(q("SELECT 1"), send(text), q("SELECT 2"))

    assert plan.data == q("SELECT 1")
    assert executions(plan) == [("allow", "SELECT 1")]
    assert plan.unknown
    assert [bytes(frame.raw) for frame in plan.rest] == [send(text), q("SELECT 2")]

    again = ends.client(send(text), settled=True)
    assert not again.unknown
    assert executions(again) == [("deny", text)]
    assert text.encode() not in again.data


def test_a_name_that_is_known_by_then_runs() -> None:
    ends = both_ends(SHOP)
    assert ends.client(q("SELECT * FROM latest")).unknown

    newer = {**SHOP.relations, "public": {**SHOP.relations["public"], "latest": Relation("r", (Column("id"),))}}
    ends.judge = Judge(policy_of(), limit=10_000, catalog=replace(SHOP, relations=newer))
    assert ends.client(q("SELECT * FROM latest"), settled=True).data == q("SELECT * FROM latest")


def test_only_the_first_statement_is_settled() -> None:
    ends = both_ends(SHOP)
    plan = ends.client(q("SELECT * FROM latest"), q("SELECT * FROM later"), settled=True)

    assert executions(plan) == [("deny", "SELECT * FROM latest")]
    assert plan.unknown
    assert len(plan.rest) == 1


def test_what_is_refused_for_another_reason_or_passed_over_does_not_wait() -> None:
    ends = both_ends(SHOP)
    plan = ends.client(p("DELETE FROM orders"), p("SELECT * FROM latest"), SYNC, q("DELETE FROM orders"))

    assert not plan.unknown
    assert not plan.rest
    assert [decision for decision, _ in executions(plan)] == ["deny"] * 3


@pytest.mark.parametrize(("oid", "passes"), [(0, True), (25, True), (20001, True), (20002, True), (20003, False)])
def test_a_parameter_may_be_of_an_enum_that_the_catalog_knows(oid: int, passes: bool) -> None:
    types = {**SHOP.types, "public": {**SHOP.types["public"], "mood": Type("e", oids=(20001, 20002))}}
    ends = both_ends(replace(SHOP, types=types))
    plan = ends.client(p("SELECT $1", "", oid))

    assert (plan.data == p("SELECT $1", "", oid)) is passes
    assert [decision for decision, _ in executions(plan)] == ([] if passes else ["deny"])
    assert both_ends().client(p("SELECT $1", "", 20001)).data != p("SELECT $1", "", 20001)
