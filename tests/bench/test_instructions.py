"""Instruction counts: what is over the baseline is found, and the counted conversations really run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.bench.core import CONVERSATIONS, Core
from tests.bench.instructions import BASELINE, compare


def test_more_than_five_percent_is_too_many() -> None:
    counted = {"prepared": 1_049, "extended": 1_051, "repeated": 900, "unique": 1}
    baseline = {"prepared": 1_000, "extended": 1_000, "repeated": 1_000}
    assert [fits for _, fits in compare(counted, baseline)] == [True, False, True, False]
    lines = [line for line, _ in compare(counted, baseline)]
    assert [line.rpartition("  ")[2] for line in lines[:3]] == ["ok", "too many", "fewer: write a new baseline"]


def test_every_baseline_has_every_conversation() -> None:
    for counts in json.loads(BASELINE.read_text()).values():
        assert counts.keys() == CONVERSATIONS.keys()


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_each_transaction_is_judged_recorded_and_answered(conversation: Callable[[Core, int], None]) -> None:
    core = Core()
    conversation(core, 1)
    once = core.recorded
    conversation(core, 2)
    assert core.recorded > 2 * once
