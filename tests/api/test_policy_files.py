"""Policies over HTTP: the file in force whatever is on the disk, explanations, and the tests beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pgjit.policy.load import load_policies
from pgjit.sql.catalog import Catalog, Column, Relation
from tests.api.people import People
from tests.judging.test_explanation import FILE
from tests.judging.test_policy_tests import TESTS
from tests.run.journal_text import journal_lines

CATALOG = Catalog(
    server_version=180000,
    search_path=("public",),
    relations={"public": {name: Relation("r", (Column("id"),)) for name in ("orders", "salaries")}},
)


class Folder:
    """A folder of policies that are in force."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.reader = path / "reader.yaml"
        self.reader.write_text(FILE)
        (path / "reader_test.yaml").write_text(
            TESTS.replace("  - {policy: writer, sql: SELECT 4, expect: allow}\n", "")
        )

    def put_in_force(self, api: People) -> None:
        policies, faults = load_policies(self.path)
        assert faults == []
        api.use(policies=policies)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "policies")


@pytest.fixture
async def api(tmp_path: Path, folder: Folder) -> AsyncIterator[People]:
    async with People(tmp_path) as api:
        folder.put_in_force(api)
        yield api


async def explained(api: People, sql: object, person: str = "admin") -> Any:
    return (await api.post("policies/reader/explain", person, {"sql": sql})).json()


async def test_the_file_is_the_one_in_force(api: People, folder: Folder) -> None:
    found = (await api.get("policies/reader/file", "auditor")).json()
    assert found["text"] == FILE
    assert found["on_disk"] == {
        "source": str(folder.reader), "policy": "reader", "version": found["version"],
        "version_on_disk": found["version"], "state": "in-force", "fault": None,
    }  # fmt: skip


async def test_a_file_that_was_changed_is_not_shown_as_the_one_in_force(api: People, folder: Folder) -> None:
    api.use(catalogs=lambda _connection: CATALOG)
    folder.reader.write_text(FILE.replace("public.salaries", "public.nothing"))
    found = (await api.get("policies/reader/file", "auditor")).json()
    assert found["text"] == FILE
    assert found["on_disk"]["state"] == "changed"
    assert found["on_disk"]["version_on_disk"] not in (None, found["version"])
    assert (await explained(api, "SELECT * FROM public.salaries"))["decision"] == "deny"
    folder.put_in_force(api)
    assert (await api.get("policies/reader/file", "auditor")).json()["on_disk"]["state"] == "in-force"
    assert (await explained(api, "SELECT * FROM public.salaries"))["decision"] == "allow"


async def test_files_that_are_missing_unreadable_too_large_or_new_are_told_apart(api: People, folder: Folder) -> None:
    async def states() -> dict[str, tuple[str, str | None]]:
        items = (await api.get("policy-files", "auditor")).json()["items"]
        return {Path(each["source"]).name: (each["state"], each["fault"]) for each in items}

    assert await states() == {"reader.yaml": ("in-force", None)}
    (folder.path / "new.yaml").write_text("policy: new")
    folder.reader.write_bytes(b"x" * (1024 * 1024 + 1))
    assert await states() == {
        "new.yaml": ("not-in-force", None), "reader.yaml": ("unreadable", "it is larger than 1048576 bytes"),
    }  # fmt: skip
    folder.reader.unlink()
    assert (await states())["reader.yaml"] == ("missing", None)
    folder.reader.mkdir()
    assert (await states())["reader.yaml"][0] == "unreadable"


async def test_an_explanation_names_the_place_in_the_statement_and_the_line_of_the_policy(api: People) -> None:
    found = await explained(api, "SELECT 1;\n  DROP TABLE x; SELECT * FROM public.salaries")
    assert (found["policy"], found["decision"], found["catalog"]) == ("reader", "deny", None)
    ddl = next(each for each in found["violations"] if each["rule"] == "ddl")
    assert (ddl["line"], ddl["column"]) == (2, 3)
    [salaries] = [each for each in found["statements"][2]["touches"] if each["name"] == "public.salaries"]
    assert salaries["line"] == "- relations: [public.salaries]   # pay"


async def test_names_are_resolved_by_the_catalog_that_was_read(api: People) -> None:
    api.use(catalogs=lambda _connection: CATALOG)
    found = await explained(api, "SELECT * FROM no_such_table")
    assert (found["decision"], found["catalog"]) == ("deny", CATALOG.version)
    assert (await explained(api, "SELECT id FROM orders"))["decision"] == "allow"


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT '<script>alert(1)</script>'", None),
        ("", None),
        ("SELECT '\u202e\x1b[2J'", None),
        ("SELECT 'a\x00b'", "invalid-encoding"),
        ("SELECT '", "syntax-error"),
        ("SELECT " + "NOT " * 9000 + "true", "statement-too-deep"),
        ("SELECT 1;" * 101, "too-many-statements"),
    ],
    ids=["html", "empty", "direction", "zero", "syntax", "deep", "many"],
)
async def test_any_text_gets_an_explanation(sql: str, rule: str | None, api: People) -> None:
    body = json.dumps({"sql": sql})
    headers = {"Content-Type": "application/json"}
    answer = await api.call("POST", "policies/reader/explain", "admin", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["decision"] == ("allow" if rule is None else "deny")
    if rule is not None:
        assert rule in [each["rule"] for each in found["violations"]]


@pytest.mark.parametrize(
    "body", [{}, {"sql": 1}, {"sql": None}, {"sql": "x" * 50_001}, {"sql": "", "policy": "x"}, []]
)
async def test_bodies_that_are_no_statement_are_refused(body: object, api: People) -> None:
    refused = await api.post("policies/reader/explain", "admin", body)
    assert (refused.status_code, refused.json()["reference"]) == (422, "invalid-call")
    assert api.calls() == []


async def test_half_a_character_is_no_text(api: People) -> None:
    headers = {"Content-Type": "application/json"}
    body = r'{"sql": "SELECT \ud800"}'
    answer = await api.call("POST", "policies/reader/explain", "admin", content=body, headers=headers)
    assert answer.status_code == 422


async def test_the_record_of_a_statement_that_was_tried_has_its_length_and_not_its_text(api: People) -> None:
    await explained(api, "SELECT 'a secret'", "auditor")
    await api.get("policies/reader/file", "auditor")
    await api.get("policies/reader/tests", "admin")
    records = [json.loads(line) for line in journal_lines(api.path)]
    targets = [each["target"] for each in records if each["type"] == "api.called"]
    assert targets[0].startswith("policy reader, statement of 17 bytes, sha256 ")
    assert targets[1:] == ["policy reader", "policy reader"]
    assert "a secret" not in "".join(map(str, journal_lines(api.path)))


async def test_the_tests_run_on_the_policy_in_force(api: People, folder: Folder) -> None:
    found = (await api.get("policies/reader/tests", "auditor")).json()
    assert (found["policy"], found["passed"], found["count"], found["failed"]) == ("reader", True, 4, 0)
    assert [place.rpartition("/")[2] for place in found["untested"]["lines"]] == ["reader.yaml:10:7"]
    (folder.path / "reader_test.yaml").write_text("tests: [")
    found = (await api.get("policies/reader/tests", "auditor")).json()
    assert (found["passed"], found["count"]) == (False, 0)
    assert found["faults"]


@pytest.mark.parametrize("path", ["policies/none/file", "policies/none/tests", "policies/%2e%2e%2fpasswd/file"])
async def test_a_policy_that_is_not_in_force_has_no_file(path: str, api: People) -> None:
    assert (await api.get(path, "admin")).status_code == 404
    assert api.calls() == []


async def test_without_an_explainer_the_call_says_so(api: People) -> None:
    api.use(explainer=None)
    refused = await api.post("policies/reader/explain", "admin", {"sql": "SELECT 1"})
    assert (refused.status_code, refused.json()["reference"]) == (503, "explanation-unavailable")
