"""Every statement of the red team gets its decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgjit.proxy.judge import assess
from tests.fixtures.terms import policy_of

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "fixtures" / "redteam" / "read-only.jsonl").read_text().splitlines()
]
STATEMENTS = [row for row in ROWS if "sql" in row]


def test_the_rows_are_there() -> None:
    assert len(STATEMENTS) == 222


@pytest.mark.parametrize("row", STATEMENTS, ids=lambda row: row["id"])
def test_each_statement_gets_its_decision(row: dict[str, str]) -> None:
    judgement = assess(policy_of(), row["sql"].encode(), 256 * 1024)
    assert ("allow" if judgement.allowed else "deny") == row["expect"], judgement.violations
