"""An explanation as a document: the same for the command and for the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgjit.judging.explanation import explain, explained
from pgjit.judging.judge import assess
from pgjit.policy.load import load_policies
from pgjit.policy.passages import Passages

FILE = """policy: reader
connection: shop
group: {id: 5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11}
grant: on-request
ttl: 30m
record: true
statements:
  access: read-only
  deny:
    - relations: [public.salaries]   # pay
"""
SQL = b"SELECT 1;\nSELECT * FROM public.salaries; DROP TABLE x"


def test_the_text_in_force_is_quoted_not_what_is_on_the_disk_now(tmp_path: Path) -> None:
    path = tmp_path / "reader.yaml"
    path.write_text(FILE)
    policies, faults = load_policies(tmp_path)
    assert faults == []
    policy = policies["reader"]
    path.write_text("# other\n" * 20)
    found = explained(policy, SQL, 1000, None, policies.texts["reader"])
    assert found["decision"] == "deny"
    touches = [touch for statement in found["statements"] for touch in statement["touches"]]  # type: ignore[attr-defined]
    [salaries] = [each for each in touches if each["name"] == "public.salaries"]
    assert (salaries["allowed"], salaries["rule"]) == (False, "denied")
    assert salaries["line"] == "- relations: [public.salaries]   # pay"


def test_it_is_what_the_command_prints(tmp_path: Path) -> None:
    (tmp_path / "reader.yaml").write_text(FILE)
    policies, _ = load_policies(tmp_path)
    policy, passages = policies["reader"], Passages()
    judgement = assess(policy, SQL, 1000, passages=passages)
    printed = explain(policy, judgement, None, passages).document()
    answered = explained(policy, SQL, 1000, None, policies.texts["reader"])
    for statement in answered["statements"]:  # type: ignore[attr-defined]
        assert statement.pop("touches_more") == 0
    assert printed == answered


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "reader.yaml").write_text(FILE)
    policies, _ = load_policies(tmp_path)
    policy, passages = policies["reader"], Passages()
    judgement = assess(policy, b"SELECT abs(1), lower('a'), upper('b')", 1000, passages=passages)
    whole = explain(policy, judgement, None, passages)
    all_of_it: Any = whole.document()["statements"]
    cut: Any = whole.document(most=1)["statements"]
    assert len(cut[0]["touches"]) == 1
    assert cut[0]["touches_more"] == len(all_of_it[0]["touches"]) - 1
