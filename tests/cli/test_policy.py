"""The commands on policies: exit codes, what is told, and one answer for every line of a batch."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.policy.rules import RULES

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
POLICIES = str(FIXTURES / "policies")
RED_TEAM = FIXTURES / "redteam" / "read-only.jsonl"
READER = ("--policies", POLICIES, "--policy", "reader")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


def _explain(*arguments: str) -> int:
    return run(["policy", "explain", *READER, *arguments])


def _batch(path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert _explain("--batch", str(path)) == Status.OK
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- explain -------------------------------------------------------------------------------------------------


def test_what_is_allowed_is_told_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("SELECT 1") == Status.OK
    assert capsys.readouterr().out.startswith("ALLOW  under policy reader\n")


def test_what_is_denied_is_shown_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("SELECT '東京',\n\tpg_read_file('x')") == Status.FAILED
    out = capsys.readouterr().out
    assert "DENY  under policy reader" in out
    assert "function `pg_read_file` is not allowed under this policy  [function-call]" in out
    assert "LINE 2:     pg_read_file('x')\n            ^\n" in out
    assert "hint: Use a built-in function" in out


def test_every_violation_of_every_statement_is_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("--json", "SELECT 1;\nDROP TABLE x; SELECT pg_read_file(1)") == Status.FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["policy"] == "reader"
    assert told["decision"] == "deny"
    found = [(each["rule"], each["statement"], each["line"], each["column"]) for each in told["violations"]]
    assert ("ddl", 1, 2, 1) in found
    assert ("function-call", 2, 2, 22) in found
    assert [each["kind"] for each in told["statements"]] == ["select", "drop-table", "select"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("", "there is no statement in it: nothing runs and nothing is recorded"),
        ("/* nothing */", "there is no statement in it"),
        ("SHOW pgjit.window", "pgjit itself answers this: SHOW pgjit.window"),
        ("EXPLAIN SELECT 1", "statement 1: explain, with select inside"),
        ("SELECT 1; SELECT 2", "note: the extended protocol refuses several statements in one message"),
        ("EXECUTE x", "note: the name must have been prepared or declared"),
        ("EXECUTE x", "under policy reader, if the session has prepared it"),
        ("PREPARE x AS SELECT 1; EXPLAIN EXECUTE y(1)", "under policy reader, if the session has prepared it"),
        ("FETCH ALL FROM x", "under policy reader, if the session has declared it"),
        ("PREPARE x AS SELECT 1; EXECUTE x", "under policy reader\n"),
    ],
)
def test_what_is_not_judged_by_rules_is_told(sql: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(sql) == Status.OK
    assert told in capsys.readouterr().out


def test_a_statement_comes_from_a_file_or_from_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "statement.sql"
    path.write_bytes(b"SELECT '\xff'")
    assert _explain("--file", str(path)) == Status.FAILED
    assert "[invalid-encoding]" in capsys.readouterr().out
    for arguments in ((), ("-",)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"DELETE FROM x")))
        assert _explain(*arguments) == Status.FAILED
        assert "[statement-kind]" in capsys.readouterr().out


def test_a_statement_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("SELECT '\x1b[2J', pg_read_file(1), \"\x1b]0;x\x07\"()") == Status.FAILED
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policies", POLICIES, "SELECT 1"], "give --policy, one of"),
        (["--policies", POLICIES, "--policy", "reeder", "SELECT 1"], "did you mean `reader`?"),
        ([*READER, "--file", "x", "SELECT 1"], "give one of SQL and --file"),
        ([*READER, "--batch", "x", "SELECT 1"], "give one of SQL and --batch"),
        ([*READER, "--batch", "x", "--json"], "--json"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "explain", *arguments]) == Status.USAGE
    assert told in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("--batch", "nowhere.jsonl") == Status.UNAVAILABLE
    assert _explain("--file", "nowhere.sql") == Status.UNAVAILABLE


def test_a_limit_on_the_text_is_the_proxys(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain("--statement-bytes", "10", "SELECT 1 + 1") == Status.FAILED
    assert "[statement-too-large]" in capsys.readouterr().out


SHOP = ("--policies", str(ROOT / "policies"), "--catalog", str(ROOT / "policies" / "shop.catalog.json"))


def test_the_line_of_the_policy_that_decides_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["policy", "explain", *SHOP, "--policy", "read-only"]
    assert run([*command, "SELECT o.total FROM order_totals o"]) == Status.OK
    out = capsys.readouterr().out
    assert re.search(r"  allowed by \S+/read-only\.yaml:\d+:3 `access: read-only`\n    kind select\n", out)
    assert "    relation public.order_totals (read)\n" in out
    assert "    relation public.order_lines (read), through public.order_totals\n" in out
    assert "    column public.order_totals: total (read)\n" in out

    assert run([*command, "--json", "SELECT pg_sleep(1)"]) == Status.FAILED
    (statement,) = json.loads(capsys.readouterr().out)["statements"]
    touched = {(each["object"], each["name"]): each for each in statement["touches"]}
    assert touched["kind", "select"]["line"] == "access: read-only"
    assert touched["function", "pg_catalog.pg_sleep"]["rule"] == "function-call"
    assert touched["function", "pg_catalog.pg_sleep"]["allowed"] is False


def test_names_are_resolved_with_the_catalog_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["policy", "explain", "--policy", "read-only", "SELECT id FROM custmers"]
    assert run([*command, "--policies", str(ROOT / "policies")]) == Status.OK
    assert run([*command, *SHOP]) == Status.FAILED
    assert "[unresolved-name]" in capsys.readouterr().out
    (tmp_path / "catalog.json").write_text("{}")
    assert run([*command, *SHOP[:2], "--catalog", str(tmp_path / "catalog.json")]) == Status.INVALID
    assert run([*command, *SHOP[:2], "--catalog", str(tmp_path / "nowhere.json")]) == Status.UNAVAILABLE


def test_a_policy_that_observes_says_what_runs_all_the_same_and_what_does_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "reader.yaml"
    text = path.read_text().replace("record: true", "record: true\nmode: observe")
    path.write_text(text.replace("  allow:", "  rules:\n    limit-required: true\n  allow:"))
    command = ["policy", "explain", "--policies", str(folder), "--policy", "reader"]
    assert run([*command, "DROP TABLE x"]) == Status.FAILED
    assert "the policy observes, but what its preset refuses is refused" in capsys.readouterr().out
    assert run([*command, "DROP TABLE x", "--json"]) == Status.FAILED
    assert json.loads(capsys.readouterr().out)["mode"] == "observe"
    assert run([*command, "SELECT id FROM payments"]) == Status.OK
    out = capsys.readouterr().out
    assert "it runs all the same. Enforced, `limit-required` refuses it: reading `payments` needs a LIMIT" in out
    assert "refused by" not in out


# --- batch ---------------------------------------------------------------------------------------------------


def test_every_line_of_the_red_team_is_decided_as_it_expects(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in RED_TEAM.read_text(encoding="utf-8").splitlines()]
    example = ("--policies", str(ROOT / "policies"), "--policy", "read-only")
    assert run(["policy", "explain", *example, "--batch", str(RED_TEAM)]) == Status.OK
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [answer["id"] for answer in answers]
    assert {tuple(answer) for answer in answers} == {("id", "decision", "rule", "message")}
    judged = [(row, answer) for row, answer in zip(rows, answers, strict=True) if "sql" in row]
    assert len(judged) == 222
    assert [row["id"] for row, answer in judged if row["expect"] != answer["decision"]] == []
    assert all((answer["decision"] == "deny") == (answer["rule"] is not None) for answer in answers)


def test_a_line_that_cannot_be_judged_is_answered_and_the_next_ones_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": 1, "sql": "SELECT 1"}\n'
        b"not json\n"
        b"\n"
        b"[1]\n"
        b'{"id": "proto", "protocol": "x"}\r\n'
        b'{"id": null, "sql": 7}\n'
        b'{"id": "nul", "sql": "SELECT 1\\u0000"}\n'
        b'{"id": "lone", "sql": "SELECT \'\\ud800\'"}\n'
        b'{"id": "bytes", "sql": "\xff"}\n'
        b'{"sql": ""}'
    )
    told = [(answer["id"], answer["decision"], answer["rule"]) for answer in _batch(path, capsys)]
    assert told == [
        (1, "allow", None),
        (None, "deny", "bad-line"),
        (None, "deny", "bad-line"),
        ("proto", "deny", "bad-line"),
        (None, "deny", "bad-line"),
        ("nul", "deny", "invalid-encoding"),
        (None, "deny", "bad-line"),
        (None, "deny", "bad-line"),
        (None, "allow", None),
    ]


def test_a_batch_says_which_line_has_no_sql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"id": "a", "sql": "SELECT 1"}\n{"id": "b"}\n')
    assert _batch(path, capsys)[1]["message"] == "line 2 has no `sql`: there is nothing to judge"


# --- check, test, rules --------------------------------------------------------------------------------------


def test_policies_and_their_tests_are_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "check", str(folder)]) == Status.OK
    assert "reader" in capsys.readouterr().out
    (folder / "reader_test.yaml").write_text("tests: [{policy: reeder, sql: x, expect: deny}]\n")
    assert run(["policy", "check", str(folder)]) == Status.INVALID
    assert f"{folder}/reader_test.yaml:1:10: `tests.0.policy` names `reeder`" in capsys.readouterr().err
    assert run(["policy", "check", str(folder), "--json"]) == Status.INVALID
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    [fault] = told["faults"]
    assert (fault["file"], fault["line"], fault["column"]) == (f"{folder}/reader_test.yaml", 1, 10)
    assert fault["message"].startswith("`tests.0.policy` names `reeder`")


def test_a_warning_is_told_and_stops_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "reader.yaml"
    path.write_text("\n".join("ttl: 9h" if "ttl:" in line else line for line in path.read_text().splitlines()))
    assert run(["policy", "check", str(folder)]) == Status.OK
    assert "warning: " in capsys.readouterr().out


def test_names_that_the_server_does_not_have_are_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "reader.yaml"
    path.write_text(
        path.read_text().replace("  access: read-only", "  access: read-only\n  deny: [{relations: [custmers]}]")
    )
    assert run(["policy", "check", str(folder)]) == Status.OK
    assert "custmers" not in capsys.readouterr().out
    assert run(["policy", "check", str(folder), *SHOP[2:]]) == Status.OK
    assert "warning: " in (out := capsys.readouterr().out)
    assert "`relations` names `custmers`, which the catalog does not have" in out


@pytest.mark.parametrize("command", [["check"], ["test"]])
def test_a_folder_without_policies_is_a_fault(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", *command, str(tmp_path)]) == Status.INVALID
    assert "this folder has no policy" in capsys.readouterr().err
    assert run(["policy", *command, str(tmp_path / "nowhere")]) == Status.INVALID


SUITE = """
policy: reader
tests:
  - sql: [SELECT 1, "SELECT '\\e[2J'"]
    expect: allow
  - name: no writing
    sql: DELETE FROM notes
    expect: deny
    rule: statement-kind
"""


def test_tests_that_come_out_as_expected_end_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "reader_test.yaml").write_text(SUITE)
    assert run(["policy", "test", str(folder)]) == Status.OK
    out = capsys.readouterr().out
    assert "3 passed, 0 failed" in out
    assert "DELETE FROM notes" in out
    assert "\x1b[2J" not in out


def test_a_test_that_comes_out_otherwise_is_told_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "reader_test.yaml").write_text(SUITE.replace("rule: statement-kind", "rule: locking-clause"))
    assert run(["policy", "test", str(folder)]) == Status.FAILED
    out = capsys.readouterr().out
    assert "2 passed, 1 failed" in out
    assert f"{folder}/reader_test.yaml:6:5: no writing" in out
    assert "expected deny by locking-clause, got deny by statement-kind" in out
    assert run(["policy", "test", str(folder), "--json"]) == Status.FAILED
    told = json.loads(capsys.readouterr().out)
    assert [test["passed"] for test in told["tests"]] == [True, True, False]


def test_where_there_is_no_test_nothing_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", str(folder)]) == Status.FAILED
    assert "There is no test" in capsys.readouterr().out


def test_coverage_says_what_no_test_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "reader_test.yaml").write_text(SUITE)
    assert run(["policy", "test", str(folder), "--coverage", "--json"]) == Status.OK
    untested = json.loads(capsys.readouterr().out)["untested"]
    assert "statement-kind" not in untested["rules"]
    assert "locking-clause" in untested["rules"]
    assert "reader" not in untested["policies"]
    assert "writer" in untested["policies"]


def test_coverage_says_which_entries_decided_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "reader.yaml"
    path.write_text(
        path.read_text().partition("statements:")[0]
        + "statements:\n  access: read-only\n  allow:\n    - functions: [pg_sleep]\n    - functions: [app.report]\n"
        "  deny:\n    - relations: [payments]\n    - relations: [notes]\n"
    )
    (folder / "reader_test.yaml").write_text(
        "policy: reader\ntests:\n  - {sql: SELECT pg_sleep(1), expect: allow}\n"
        "  - {sql: TABLE notes, expect: deny, rule: denied}\n"
    )
    assert run(["policy", "test", str(folder), "--coverage"]) == Status.OK
    untested = capsys.readouterr().out.partition("decided nothing:")[2]
    lines = path.read_text().splitlines()
    told = [lines[int(place) - 1].strip() for place in re.findall(r"reader\.yaml:(\d+):\d+\n", untested)]
    assert told == ["- functions: [app.report]", "- relations: [payments]"]


def test_a_suite_names_the_catalog_that_its_statements_are_resolved_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = folder / "reader_test.yaml"
    suite.write_text(
        "policy: reader\ncatalog: shop.json\ntests: [{sql: TABLE custmers, expect: deny, rule: unresolved-name}]"
    )
    assert run(["policy", "test", str(folder)]) == Status.INVALID
    assert f"{suite}:2:1: `catalog` cannot be read" in capsys.readouterr().err
    shutil.copy(ROOT / "policies" / "shop.catalog.json", folder / "shop.json")
    assert run(["policy", "test", str(folder)]) == Status.OK
    (folder / "shop.json").write_text("[]")
    assert run(["policy", "check", str(folder)]) == Status.INVALID
    assert "`catalog` is no catalog" in capsys.readouterr().err


def test_a_faulty_test_file_plays_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "reader_test.yaml").write_text("tests: []")
    assert run(["policy", "test", str(folder)]) == Status.INVALID


def test_every_rule_is_listed_with_what_it_says_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "rules", "--json"]) == Status.OK
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told] == list(RULES)
    assert all(each["summary"] and each["why"] and each["instead"] for each in told)
    assert run(["policy", "rules"]) == Status.OK
    out = capsys.readouterr().out
    assert [name for name in RULES if f"{name}\n" not in out] == []


def test_one_rule_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "rules", "statement-depth"]) == Status.OK
    out = capsys.readouterr().out
    assert out.startswith("statement-depth: ")
    assert "\nWhy: " in out
    assert "\nOptions:\n" in out
    assert run(["policy", "rules", "nonsense"]) == Status.USAGE


def test_the_example_policies_are_valid_and_pass_their_own_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "check", str(ROOT / "policies"), "--catalog", SHOP[3]]) == Status.OK
    warned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert all("is not named as its database, `shop`" in line for line in warned)
    assert run(["policy", "test", str(ROOT / "policies"), "--coverage", "--json"]) == Status.OK
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert told["untested"]["policies"] == []
