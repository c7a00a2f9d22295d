"""The pages of the rules and the schema of policy files are what the code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgjit.policy.catalogue import page
from pgjit.policy.rule import Rule
from tests.repo.rule_pages import FOLDER, SCHEMA, contents
from tests.run.rows import table

WANTED = contents()


@table("path", WANTED, ids=lambda path: str(path.name))
def test_a_generated_file_is_what_the_code_says(path: Path) -> None:
    assert path.read_text("utf-8") == WANTED[path], f"{path} is stale: run `make docs`"


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    assert set(FOLDER.glob("*.md")) == {path for path in WANTED if path.parent == FOLDER}


def test_a_rule_that_does_not_say_why_has_no_page() -> None:
    with pytest.raises(ValueError, match="`silent` must say"):
        page(Rule("silent", "What it is.\n\nIt is."))


def test_the_schema_is_one_that_editors_can_read() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))

    assert sorted(schema["required"]) == ["connection", "grant", "policy", "record", "statements", "ttl"]
    assert schema["oneOf"] == [{"required": ["group"]}, {"required": ["role"]}]
    assert schema["additionalProperties"] is False
