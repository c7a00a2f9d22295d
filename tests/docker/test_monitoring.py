"""The alerts and the dashboard: their expressions can be read, and every metric and label in them exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from pgjit.telemetry.metrics import OUTCOMES, Metrics
from pgjit.telemetry.prometheus import prometheus_name
from tests.run.processes import finish
from tests.run.programs import need
from tests.run.rows import table

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docker" / "helm" / "pgjit" / "files"
_FAMILIES = {prometheus_name(family.text): family.text for family in Metrics()}
# Metrics of Prometheus's own client, and labels that Prometheus or the supervisor of several workers adds.
_OF_THE_PROCESS = {
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
}  # fmt: skip
_ADDED = {"instance", "job", "worker", "le"}


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    return list(json.loads((FILES / "dashboard.json").read_text("utf-8"))["panels"])


def _expressions() -> list[str]:
    found = [rule["expr"] for rule in _alerts()]
    for panel in _panels():
        found += [target["expr"] for target in panel.get("targets", [])]
    return [each.replace("$__rate_interval", "5m").replace("$__range", "1h") for each in found]


def _selectors(expression: Any) -> Iterator[Any]:
    """Every selector of a metric inside an expression."""
    match expression:
        case promql.VectorSelector():
            yield expression
        case promql.MatrixSelector():
            yield expression.vector_selector
        case promql.BinaryExpr():
            yield from _selectors(expression.lhs)
            yield from _selectors(expression.rhs)
        case promql.Call():
            for each in expression.args:
                yield from _selectors(each)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _selectors(expression.expr)
        case promql.NumberLiteral() | promql.StringLiteral():
            pass
        case _:
            raise AssertionError(f"unknown part of an expression: {type(expression)}")


def _family(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name) if name not in _FAMILIES else name


def test_there_are_alerts_and_panels() -> None:
    assert len(_alerts()) > 20
    assert len(_expressions()) > 50


@table("expression", sorted(set(_expressions())))
def test_every_metric_exists_and_has_the_labels_that_select_it(expression: str) -> None:
    selectors = list(_selectors(promql.parse(expression)))
    assert selectors
    for selector in selectors:
        name = _family(selector.name)
        if name in _OF_THE_PROCESS:
            continue
        assert name in _FAMILIES
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= {*_FAMILIES[name].labels, *_ADDED}
        for matcher in selector.matchers.matchers:
            assert matcher.name != "outcome" or matcher.value in OUTCOMES


@table("rule", _alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_uses_labels_that_are_there(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description"}
    used = set(re.findall(r"\$labels\.([a-z_]+)", json.dumps(rule["annotations"])))
    names = {_family(selector.name) for selector in _selectors(promql.parse(rule["expr"]))}
    known = {label for name in names if name in _FAMILIES for label in _FAMILIES[name].labels} | _ADDED
    assert used <= known


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    assert set(re.findall(r"`(Pgjit[A-Z]\w+)`", page)) == {rule["alert"] for rule in _alerts()}


def test_panels_do_not_overlap_and_have_a_title() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in _panels()]
    assert len(set(ids)) == len(ids)


@pytest.mark.foreign
@pytest.mark.live
def test_promtool_accepts_the_alerts_and_their_tests() -> None:
    [promtool] = need("promtool")
    for arguments in (["check", "rules", str(FILES / "alerts.yaml")], ["test", "rules", "alerts_test.yaml"]):
        done = finish(promtool, *arguments, seconds=60, cwd=Path(__file__).parent)
        assert done.status == 0, done.out + done.err
