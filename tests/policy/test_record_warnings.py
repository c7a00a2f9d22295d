"""Keys of `redact` that can do nothing, or more than they seem to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.load import load_policies

HEAD = "policy: p\nconnection: c\ngroup: 8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20\ngrant: on-request\nttl: 30m\n"
FULL = "under `access: full` no name is looked up, so all values of all statements are redacted"


@pytest.mark.parametrize(
    ("record", "access", "key", "warning"),
    [
        ("true", "read-only", "columns", None),
        ("results", "full", "patterns", None),
        ("true", "full", "columns", FULL),
        ("statements", "read-only", "patterns", None),
        (
            "statements", "full", "columns",
            "`columns` can redact nothing: under `record: statements` no value is recorded",
        ),
    ],
)  # fmt: skip
def test_warnings_name_the_key(tmp_path: Path, record: str, access: str, key: str, warning: str | None) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"{HEAD}record: {record}\nredact: {{{key}: a.b}}\nstatements: {{access: {access}}}\n", "utf-8")
    policies, faults = load_policies(tmp_path)
    assert faults == []
    assert policies.warnings == (() if warning is None else (f"{path}:7:10: {warning}",))
