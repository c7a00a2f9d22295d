"""An explanation shows what the rules decided: nothing is refused in an ALLOW, and nothing allowed that refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.judging.dry_run import explain_judgement
from pgjit.judging.judge import assess
from pgjit.policy.decision import JudgedObject
from pgjit.policy.explain import Ground
from pgjit.policy.load import load_policies
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy
from pgjit.policy.rules import RULES
from pgjit.sql.catalog import Catalog, Operator, QName
from tests.fixtures.odd import HIDING, ODD, SHOP
from tests.fixtures.terms import policy_of, terms

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
LIMIT = 100_000
READ_ONLY = load_policies(ROOT / "policies")[0]["read-only"]
NARROW = replace(
    policy_of(),
    statements=terms(
        access="read-write",
        allow=[
            {"kinds": ["select"], "relations": ["public.*", "sales.deals", "s.*"]},
            {"columns": ["sales.accounts.id", "sales.accounts.region"]},
            {"functions": ["pg_sleep", "nextval"]},
            {"kinds": ["drop-table", "vacuum"]},
            {"settings": ["app.*"]},
        ],
        deny=[{"relations": ["payments"]}, {"columns": ["customers.email"]}, {"kinds": ["copy-out"]}],
        rules={"limit-required": True, "cartesian-product": True},
    ),
)
POLICIES = [*load_policies(ROOT / "policies")[0].values(), *load_policies(FIXTURES / "policies")[0].values(), NARROW]
TRIGRAMS = replace(  # an extension's operator of the name of a built-in one
    SHOP,
    operators={
        **SHOP.operators,
        "public": {"%": (Operator("text", "text", QName("public", "similarity_op"), extension="pg_trgm"),)},
    },
)


def _battery() -> Iterator[str]:
    for line in (FIXTURES / "everyday" / "battery.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("|", 3)[3]


def _redteam() -> Iterator[str]:
    for line in (FIXTURES / "redteam" / "read-only.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if "sql" in row:
            yield row["sql"]


STATEMENTS = sorted({*_battery(), *_redteam(), "SELECT name % 'x' FROM products"})


def _means(refused: JudgedObject, ground: Ground) -> bool:
    """Whether a violation names just what the line of the explanation is about."""
    if refused.sort == "kind":
        return ground.sort == "kind" and (refused.name in ((None,), (ground.name,)))
    return (
        refused.sort == ground.sort
        and f".{ground.name}".endswith("." + ".".join(part or "?" for part in refused.name))
        and refused.position in (None, ground.position)
        and refused.through in (None, ground.through)
        and refused.action in (None, ground.action, "write" if ground.action != "read" else None)
    )


def _check(policy: Policy, sql: str, catalog: Catalog | None) -> None:
    text = sql.encode("utf-8", "surrogatepass")
    passages = Passages()
    judgement = assess(policy, text, LIMIT, catalog, passages=passages)
    explained = explain_judgement(policy, judgement, catalog, passages)

    assert judgement == assess(policy, text, LIMIT, catalog), "it is decided otherwise than without an explanation"
    refusing = {violation.rule for violation in judgement.violations}
    assert {ground.rule for grounds in explained for ground in grounds if ground.rule} <= refusing, sql
    for violation in judgement.violations:
        if violation.statement is None:
            assert not any(explained)
            continue
        assert violation.objects or violation.rule not in RULES, violation
        grounds = explained[violation.statement]
        assert any(not ground.allowed for ground in grounds), (sql, violation)
        wrong = [
            ground for ground in grounds if ground.allowed and any(_means(each, ground) for each in violation.objects)
        ]
        assert not wrong, (sql, violation)


@pytest.mark.parametrize("one_of", [pytest.param(2, id="half"), pytest.param(1, id="all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("catalog", [None, TRIGRAMS], ids=["offline", "catalog"])
@pytest.mark.parametrize("policy", [READ_ONLY, NARROW], ids=["read-only", "narrow"])
def test_an_explanation_agrees_with_the_decision(policy: Policy, catalog: Catalog | None, one_of: int) -> None:
    """In each run every statement under both policies: under one with the catalog, under the other without."""
    first = ((policy is NARROW) ^ (catalog is None)) % one_of
    for sql in STATEMENTS[first::one_of]:
        _check(policy, sql, catalog)


@given(
    policy=st.sampled_from(POLICIES),
    some=st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=3),
    catalog=st.sampled_from([None, TRIGRAMS, ODD, HIDING]),
)
def test_an_explanation_of_a_message_agrees_with_the_decision(
    policy: Policy, some: list[str], catalog: Catalog | None
) -> None:
    _check(policy, ";\n".join(some), catalog)
