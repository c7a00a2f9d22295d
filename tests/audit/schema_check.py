"""Checks records against the published schema of the journal, `docs/journal.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jsonschema_rs

__all__ = ["SCHEMA", "assert_valid", "types_in_schema"]

SCHEMA = Path(__file__).parents[2] / "docs" / "journal.schema.json"


def assert_valid(record: Mapping[str, object]) -> None:
    """By the definition of its type: the message of the whole schema would not say what is wrong."""
    kind = str(record["type"])
    validator = _validators().get(kind)
    assert validator is not None, f"docs/journal.schema.json has no records of type {kind}"
    faults = [f"{list(fault.instance_path)}: {fault.message}" for fault in validator.iter_errors(dict(record))]
    assert not faults, (faults, record)


def types_in_schema() -> set[str]:
    return set(_validators())


@cache
def _validators() -> dict[str, jsonschema_rs.Draft202012Validator]:
    whole = json.loads(SCHEMA.read_text("utf-8"))
    return {
        kind: jsonschema_rs.Draft202012Validator({"$ref": place, "$defs": whole["$defs"]})
        for kind, place in whole["discriminator"]["mapping"].items()
    }
