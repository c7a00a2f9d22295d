"""The benchmark runs: with tiny counts, all kinds of figures, and against the real programs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.bench.pgbouncer import pgbouncer_version
from tests.run.processes import finish

ROOT = Path(__file__).parents[2]


@pytest.mark.bench
def test_a_tiny_run_has_a_figure_of_every_kind() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = finish(sys.executable, "-m", "tests.bench", "--tiny", "--json", seconds=250, env=environment, cwd=ROOT)
    assert done.status == 0, done.err
    run = json.loads(done.out)
    found = {(figure["case"], figure["name"]): figure["ways"] for figure in run["figures"]}
    ways = {"direct", "pgjit"} | ({"pgbouncer"} if pgbouncer_version() else set())
    for case, name in (
        ("prepared-1", "transactions"),
        ("latency", "p99"),
        ("rows-binary", "time"),
        ("copy-out", "time"),
    ):
        assert set(found[case, name]) == ways
    assert found["prepared-1", "CPU"].keys() == ways - {"direct"}
    for case in (
        "decision-hit",
        "decision-small",
        "decision-medium",
        "login",
        "stall",
        "stall-hostile",
    ):
        assert {name for of, name in found if of == case}
    assert "pgjit" in found["idle-3", "memory"]
    assert set(found["idle-3-w2", "memory"]) == {"pgjit"}
    for case in ("unique-8-w1", "unique-8-w2"):  # one worker and two
        assert set(found[case, "transactions"]) == set(found[case, "CPU"]) == ways - {"direct"}
    for case in ("prepared-8-p0", "prepared-8-pages", "connect-4-p0", "connect-4-pages"):
        assert set(found[case, "transactions"]) == set(found[case, "CPU"]) == ways - {"direct"}
    assert set(found["prepared-8-pages", "states sent"]) == {"pgjit"}
    assert {target["met"] for target in run["targets"]} <= {True, False, None}
