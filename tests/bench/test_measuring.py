"""Which cases there are, and which of them a run has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.__main__ import main
from tests.bench.effort import FULL, TINY
from tests.bench.measuring import cases_of

NAMED = """
prepared-1 prepared-8 prepared-32 extended-1 extended-8 extended-32 unique-1 unique-8 unique-32 repeated-8 tpcb-8
connect-4 latency login login-warm rows-text rows-binary copy-out row-64MiB idle-1000 idle-5000 decision-hit
decision-small decision-medium prepared-8-w2 unique-8-w2 prepared-8-pages connect-4-pages idle-1000-w2
stall stall-hostile
""".split()


def test_a_full_run_has_every_case() -> None:
    assert set(NAMED) <= set(FULL.chosen(cases_of(FULL)))


def test_each_case_is_of_one_measure_alone() -> None:
    assert len(cases_of(FULL)) == len(set(cases_of(FULL)))


def test_patterns_choose_cases() -> None:
    some = replace(FULL, only=("prepared-8*", "idle-5000"))
    assert some.chosen(cases_of(some)) == ["prepared-8", "prepared-8-w2", "prepared-8-pages", "idle-5000"]


def test_every_pattern_of_the_tiny_run_chooses_a_case() -> None:
    assert TINY.unknown(cases_of(TINY)) == []


def test_a_pattern_that_chooses_no_case_is_refused_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "prepared-8,preparde-*"])
    shown = capsys.readouterr().err
    assert "no case is `preparde-*`; there are prepared-1, prepared-8, " in shown


def test_the_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == cases_of(FULL)
