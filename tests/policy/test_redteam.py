"""The red-team collection under the example policy `read-only`, with the catalog of a server that has its objects."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.errors import PgjitError
from pgjit.policy.decision import Allow, Decision, Deny, Violation
from pgjit.policy.evaluate import evaluate
from pgjit.policy.load import load_policies
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from tests.run.processes import finish
from tests.run.rows import table
from tests.sql.snapshots import read_snapshot

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "redteam"
ROWS = [
    row for row in map(json.loads, (FIXTURES / "read-only.jsonl").read_text("utf-8").splitlines()) if "sql" in row
]
POLICY = load_policies(ROOT / "policies")[0]["read-only"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Extensions that the embedded server does not have are left out: their functions are unknown then.

    The collection was made on PostgreSQL 15: to newer servers `json_array(1)` is syntax, and not a call of anybody's.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgjit-rt-"))  # short: the path of a Unix socket has a limit
    database = DemoDatabase()
    try:
        database.start(folder)
        script = (FIXTURES / "setup.sql").read_text("utf-8")
        done = finish(database.psql_path, "-XAtq", database.superuser_dsn, input=script, seconds=60)
        assert done.status == 0, done.err
        snapshot = asyncio.run(read_snapshot(database.superuser_dsn, "public"))
        return dataclasses.replace(snapshot, server_version=150000)
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _decide(sql: str, catalog: Catalog | None) -> Decision:
    try:
        return evaluate(POLICY, read_message(sql), catalog)
    except PgjitError as refused:
        return Deny((Violation(rule=refused.reference, message=refused.message),))


def test_the_server_holds_what_the_collection_speaks_of(catalog: Catalog) -> None:
    assert {"users", "orders", "plain_view", "evil_view", "mv"} <= set(catalog.relations["s"])
    assert {"evil", "evil_secdef", "evil_op", "attr_evil"} <= set(catalog.functions["s"])


@table("row", ROWS, ids=[row["id"] for row in ROWS])
def test_each_statement_gets_its_decision_with_a_catalog(row: dict[str, str], catalog: Catalog) -> None:
    decision = _decide(row["sql"], catalog)

    assert ("allow" if isinstance(decision, Allow) else "deny") == row["expect"], decision


@table("row", ROWS, ids=[row["id"] for row in ROWS])
def test_what_is_refused_without_a_catalog_is_refused_with_one(row: dict[str, str]) -> None:
    """With one, each row gets the decision that it expects: the test above."""
    if isinstance(_decide(row["sql"], None), Deny):
        assert row["expect"] == "deny"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM s.evil_view", # it calls a function that writes
        "SELECT u.attr_evil FROM s.users u",
        "SELECT (u).attr_evil FROM s.users u",
        "SELECT attr_evil(u) FROM s.users u",
        "SELECT 1 FROM s.users u ORDER BY u.attr_evil",
        "SELECT s.evil_agg(id) FROM s.users",
    ],
)  # fmt: skip
def test_a_function_is_seen_however_it_is_called(sql: str, catalog: Catalog) -> None:
    decision = _decide(sql, dataclasses.replace(catalog, search_path=("s", "public")))

    assert isinstance(decision, Deny)
    assert decision.violations[0].rule == "function-call"


def test_the_collection_says_what_it_was_given_to_say() -> None:
    """Its decisions are demands, not findings: who finds one of them too strict changes no line of it."""
    given = hashlib.sha256((FIXTURES / "read-only.jsonl").read_bytes()).hexdigest()
    assert given == "feaa27813ed259b89a8d179176f422fda186066e9a9bec539739aa70991c5851"
