"""Statements that are made to hurt: the red team's, and those that are nested, long or not ASCII."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.long_statements import ALL

__all__ = ["statements"]

_RED_TEAM = Path(__file__).parents[1] / "fixtures" / "redteam" / "read-only.jsonl"


def statements() -> Iterator[str]:
    for line in _RED_TEAM.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "sql" in row:
            yield row["sql"]
    yield from ALL.values()
