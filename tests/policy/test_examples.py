"""The example policies do what the tests beside them say, and their catalog is the sample database's."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.policy.decision import Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.load import load_policies
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from tests.fixtures.documents import read_yaml
from tests.fixtures.odd import SHOP
from tests.sql.snapshots import read_snapshot

FOLDER = Path(__file__).parents[2] / "policies"
POLICIES, FAULTS = load_policies(FOLDER)


class Case(NamedTuple):
    policy: str
    sql: str
    rule: str | None
    allowed: bool
    catalog: Catalog | None


def _cases() -> list[Case]:
    found: list[Case] = []
    for path in sorted(FOLDER.glob("*_test.yaml")):
        suite: dict[str, Any] = read_yaml(path.read_text("utf-8"))
        catalog = Catalog.from_json((FOLDER / suite["catalog"]).read_bytes()) if "catalog" in suite else None
        for test in suite["tests"]:
            statements = [test["sql"]] if isinstance(test["sql"], str) else test["sql"]
            found += [
                Case(suite["policy"], sql, test.get("rule"), test["expect"] == "allow", catalog) for sql in statements
            ]
    return found


CASES = _cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.policy}-{case.sql}")
def test_an_example_decides_as_the_tests_beside_it_say(case: Case) -> None:
    decision = evaluate(POLICIES[case.policy], read_message(case.sql), case.catalog)

    found = [violation.rule for violation in decision.violations] if isinstance(decision, Deny) else []
    assert bool(found) != case.allowed, found
    assert case.rule is None or case.rule in found


def test_every_example_has_tests_of_both_kinds_but_for_the_one_that_refuses_nothing() -> None:
    assert FAULTS == []
    assert POLICIES.warnings == ()
    assert {case.policy for case in CASES if case.allowed} == set(POLICIES)
    assert {case.policy for case in CASES if not case.allowed} == set(POLICIES) - {"break-glass"}


@pytest.mark.parametrize("path", [FOLDER / f"{name}.yaml" for name in POLICIES], ids=lambda path: str(path.stem))
def test_every_example_names_the_schema_in_its_first_line(path: Path) -> None:
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=policy.schema.json\n")


@pytest.mark.live
def test_the_catalog_beside_the_examples_is_the_sample_database() -> None:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-ex-"))  # short: the path of a Unix socket has a limit
    database = DemoDatabase()
    try:
        database.start(folder)
        live = asyncio.run(read_snapshot(database.superuser_dsn, "public"))
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)

    assert SHOP.relations["public"] == live.relations["public"]
    assert SHOP.types["public"] == live.types["public"]
    assert SHOP.search_path == live.search_path
    for names in ("relations", "functions"):
        kept, whole = getattr(SHOP, names)["pg_catalog"], getattr(live, names)["pg_catalog"]
        assert kept == {name: whole[name] for name in kept}
