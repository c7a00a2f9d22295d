"""Policy files: every fault at its place, and what a good one becomes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pglast.ast
import pytest
import yaml

from pgjit.identity.identity import GroupId, Identity
from pgjit.policy.faults import entry_faults
from pgjit.policy.kinds import KINDS
from pgjit.policy.language import LimitSection, PolicyFile, SelectorEntry, StatementSection
from pgjit.policy.load import load_policies
from pgjit.policy.policy import Grant, Preset
from pgjit.sql.kind import kind_of
from tests.fakes.both_ends import CONTEXT

ROOT = Path(__file__).parents[2]
GROUP = "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"
GOOD = f"""\
policy: reader
connection: prod-replica
group: {GROUP}
grant: on-request
ttl: 30m
record: true
statements:
  access: read-only
"""


def _faults(folder: Path, text: str) -> list[str]:
    path = folder / "reader.yaml"
    path.write_text(text, "utf-8")
    policies, faults = load_policies(folder)
    assert not faults or not policies
    return [fault.removeprefix(f"{path}:") for fault in faults]


def _member(*groups: str) -> Identity:
    return replace(CONTEXT.identity, groups=frozenset(map(GroupId, groups)))


def test_the_policies_of_this_project_are_without_fault() -> None:
    policies, faults = load_policies(ROOT / "policies")

    assert faults == []
    assert sorted(policies) == [
        "analyst-read-only", "break-glass", "jit-schema-checks", "orders-migration", "read-only",
    ]  # fmt: skip
    assert policies.warnings == ()
    policy = policies["jit-schema-checks"]
    assert policy.connection == "prod-replica"
    assert (policy.group, policy.group_name) == (GROUP, "jit-schema-checks")
    assert (policy.grant, policy.ttl, policy.cooldown) == (
        Grant.ON_REQUEST,
        timedelta(minutes=30),
        timedelta(minutes=30),
    )
    assert policy.record is True
    assert policy.statements.access is Preset.READ_ONLY
    assert policy.version == hashlib.sha256((ROOT / "policies/jit-schema-checks.yaml").read_bytes()).hexdigest()


def test_every_key_is_explained_in_the_readme() -> None:
    readme = (ROOT / "policies/README.md").read_text("utf-8")
    keys = [field.alias or key for key, field in PolicyFile.model_fields.items() if key != "statements"]
    keys += SelectorEntry.model_fields
    keys += [f"statements.{key}" for key in StatementSection.model_fields]
    keys += [f"limits.{key}" for key in LimitSection.model_fields] + ["read-only", "read-write", "full"]
    for key in keys:
        assert f"`{key}" in readme, key


def test_the_examples_in_the_readme_are_of_the_language() -> None:
    readme = (ROOT / "policies/README.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)]
    sections = ["policy", "statements", "statements", "statements", "rules", "record", "record", "policy"]
    assert [next(iter(block)) for block in blocks] == sections

    PolicyFile.model_validate(blocks[0])
    section = StatementSection.model_validate(blocks[1]["statements"])
    assert list(entry_faults(section)) == []
    for block in blocks[2:4]:
        assert list(entry_faults(StatementSection.model_validate(block["statements"]))) == []
    assert list(entry_faults(StatementSection.model_validate({"access": "read-write", **blocks[4]}))) == []
    for block in blocks[5:7]:
        PolicyFile.model_validate({**blocks[0], **block})


def test_every_kind_of_statement_of_the_parser_has_a_word() -> None:
    nodes = [name for name in dir(pglast.ast) if name.endswith("Stmt")]
    inward = {"p-l-assign", "raw", "return", "set-operation"}  # no statements of their own
    by_object = {"alter-none", "create-none", "drop-none"}  # told by what the node is about

    assert {kind_of(name, {}) for name in nodes} - inward - by_object - set(KINDS) == set()


def test_a_policy_for_a_connection_is_found_by_group(tmp_path: Path) -> None:
    (tmp_path / "reader.yaml").write_text(GOOD)
    (tmp_path / "reader_test.yaml").write_text("this: is a test beside it")
    policies, faults = load_policies(tmp_path)

    assert faults == []
    assert [policy.name for policy in policies.for_connection("prod-replica", _member(GROUP))] == ["reader"]
    assert policies.for_connection("other", _member(GROUP)) == ()
    assert policies.for_connection("prod-replica", _member("22222222-2222-4222-8222-222222222222")) == ()
    assert policies.for_connection("prod-replica", _member()) == ()


def test_what_is_allowed_beyond_the_preset(tmp_path: Path) -> None:
    (tmp_path / "reader.yaml").write_text(
        GOOD + "  allow:\n"
        "    - function: pg_sleep\n    - function: s.mine\n    - type: public.vector\n    - operator: <=>\n"
        "    - operator: public.<->\n"
    )
    policies, faults = load_policies(tmp_path)

    assert faults == []
    allow = policies["reader"].statements.allow
    assert allow[0].functions is not None
    assert allow[0].functions.match(("pg_catalog", "pg_sleep"), lenient=False)
    assert not allow[0].functions.match(("s", "pg_sleep"), lenient=False)
    assert allow[1].functions is not None
    assert allow[1].functions.match(("s", "mine"), lenient=False)
    assert allow[2].types is not None
    assert allow[2].types.match(("public", "vector"), lenient=False)
    assert [each.operators for each in allow[3:]] == [{"<=>"}, {"public.<->"}]


_UNRECORDED = "6:1: `record` must be true, `statements` or `results`: pgjit has no unrecorded access"


@pytest.mark.parametrize(
    ("written", "ttl"),
    [("90s", timedelta(seconds=90)), ("30m", timedelta(minutes=30)), ("24h", timedelta(hours=24))],
)
def test_durations_have_a_unit(tmp_path: Path, written: str, ttl: timedelta) -> None:
    (tmp_path / "reader.yaml").write_text(GOOD.replace("30m", written) + "cooldown: 5m\n")
    policies, faults = load_policies(tmp_path)

    assert faults == []
    assert (policies["reader"].ttl, policies["reader"].cooldown) == (ttl, timedelta(minutes=5))


@pytest.mark.parametrize(("written", "warned"), [("8h", False), ("481m", True)])
def test_a_window_over_eight_hours_is_warned_of(tmp_path: Path, written: str, warned: bool) -> None:
    (tmp_path / "reader.yaml").write_text(GOOD.replace("30m", written))
    policies, faults = load_policies(tmp_path)

    assert faults == []
    assert bool(policies.warnings) == warned
    if warned:
        assert policies.warnings[0].startswith(f"{tmp_path}/reader.yaml:5:1: ")


_UNIT = "`ttl` must be a whole number with its unit, such as 90s, 30m or 2h"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("policy: reader", "policy: Reader", "1:1: `policy` must be kebab-case, with at most 63 characters"),
        ("policy: reader", "policy: 17", "1:1: `policy` must be kebab-case, with at most 63 characters"),
        ("connection: prod-replica\n", "", "1:1: `connection` is missing"),
        (GROUP, "data-analysts",
         "3:1: `group.id` must be the group's object id, a GUID; a name can be given beside it"),
        ("on-request", "always", "4:1: `grant` must be 'on-request' or 'review'"),
        ("30m", "30", f"5:1: {_UNIT}"),
        ("30m", "30:00", f"5:1: {_UNIT}"),
        ("30m", "0m", f"5:1: {_UNIT}"),
        ("30m", "-5m", f"5:1: {_UNIT}"),
        ("30m", "1.5h", f"5:1: {_UNIT}"),
        ("30m", "1d", f"5:1: {_UNIT}"),
        ("30m", "25h", "5:1: `ttl` is longer than 24h: that is standing access"),
        ("record: true", "record: false", _UNRECORDED),
        ("record: true", "record: values", _UNRECORDED),
        ("record: true", "record: 'true'", _UNRECORDED),
        ("record: true\n", "", "1:1: `record` is missing"),
        ("read-only", "all", "8:3: `statements.access` must be 'read-only', 'read-write' or 'full'"),
        ("  access: read-only", "  access: full\n  allow: [{function: pg_sleep}]",
         "7:1: `statements` must not have `allow` beside `access: full`: there is nothing that it refuses"),
        ("  access: read-only", "  acess: read-only",
         "8:3: `statements.acess` is not a known key; did you mean `access`?"),
        ("ttl: 30m", "tll: 30m\nttl: 30m", "5:1: `tll` is not a known key; did you mean `ttl`?"),
        ("ttl: 30m", "ttl: 30m\nttl: 24h", "6:1: key `ttl` is given twice"),
        ("  access: read-only", "  allow:\n    - function: a.b.c",
         "9:7: `statements.allow.0.function` must be a name, with its schema if it is not built in"),
        ("  access: read-only", "  allow:\n    - operator: plus",
         "9:7: `statements.allow.0.operator` must be an operator as statements write it, such as <=> or public.<=>"),
        ("  access: read-only", "  allow:\n    - {}",
         "9:7: `statements.allow.0` must name kinds of statements or objects"),
        ("statements:\n  access: read-only", "statements: []", "7:1: `statements` must be a mapping of keys"),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_place(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in GOOD

    assert _faults(tmp_path, GOOD.replace(old, new, 1)) == [fault]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    faults = _faults(tmp_path, GOOD.replace("30m", "30").replace("true", "false").replace("reader", "Reader"))

    assert sorted(fault.split(" ")[0] for fault in faults) == ["1:1:", "5:1:", "6:1:"]


def test_two_policies_of_one_group_for_one_connection_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("reader", "other").replace(GROUP, GROUP.upper()))
    _, faults = load_policies(tmp_path)

    assert faults == [
        f"{tmp_path}/b.yaml:3:1: policy `reader` opens connection `prod-replica` to the same group already"
    ]


def test_a_name_that_two_policies_have_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("prod-replica", "other"))
    _, faults = load_policies(tmp_path)

    assert faults == [f"{tmp_path}/b.yaml:1:1: `reader` is in {tmp_path}/a.yaml already"]


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    policies, faults = load_policies(tmp_path / "none")

    assert not policies
    assert faults == [f"{tmp_path}/none:1:1: is not a folder"]


def test_records_may_go_without_values(tmp_path: Path) -> None:
    assert _faults(tmp_path, GOOD.replace("record: true", "record: statements", 1)) == []
