"""Entries of `allow` that name what a rule refuses all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.load import load_policies

HEAD = """policy: p
connection: c
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements:
  access: read-only
  allow:
"""


def _warnings(folder: Path, *entries: str) -> list[str]:
    (folder / "p.yaml").write_text(HEAD + "".join(f"    - {entry}\n" for entry in entries))
    policies, faults = load_policies(folder)
    assert faults == []
    return [warning.removeprefix(f"{folder}/p.yaml:") for warning in policies.warnings]


@pytest.mark.parametrize(
    ("entry", "name", "rule"),
    [
        ("settings: [search_path]", "search_path", "session-setting"),
        ("settings: [work_mem, role]", "role", "session-setting"),
        ("settings: session_replication_role", "session_replication_role", "session-setting"),
        ("relations: [pg_catalog.pg_authid]", "pg_catalog.pg_authid", "secret-catalog"),
        ("relations: [public.orders, pg_catalog.pg_shadow]", "pg_catalog.pg_shadow", "secret-catalog"),
    ],
)
def test_a_name_that_a_rule_refuses_all_the_same_is_warned_of(
    tmp_path: Path, entry: str, name: str, rule: str
) -> None:
    [warning] = _warnings(tmp_path, entry)
    assert warning.startswith(f"10:7: `{name}` in this entry of `allow` opens nothing: `{rule}` refuses it (")


@pytest.mark.parametrize(
    "entry",
    [
        "settings: [work_mem]",
        "settings: [app.tenant]",
        "settings: [enable_*]",
        "relations: [pg_catalog.pg_class]",
        "relations: [public.orders]",
        "relations: [pg_catalog.*]",
        "functions: [pg_sleep]",
    ],
)
def test_an_entry_that_opens_something_is_not(tmp_path: Path, entry: str) -> None:
    assert _warnings(tmp_path, entry) == []
