"""`pgjit audit` on a small journal: lists, one execution, a window's story, a replay, SQL; and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pgjit.audit.reading.report import PARTS
from pgjit.cli.commands import audit_show, audit_tail
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.fixtures.journals import JournalStory, write_journal

Call = Callable[..., str]
Records = list[dict[str, Any]]
HIDDEN = "SELECT 1 -- \u202e\x1b[31m hidden"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "journal"
    lines = list(JournalStory(900, people=3, seed=3).lines())
    last = max(
        at for at, line in enumerate(lines) if '"type":"execution"' in line and "FROM shop.orders WHERE" in line
    )
    record = orjson.loads(lines[last])
    lines[last] = orjson.dumps({**record, "statement": HIDDEN}).decode()
    write_journal(folder, lines, segment_lines=800)
    return folder


@pytest.fixture(scope="module")
def records(journal: Path) -> Records:
    return [orjson.loads(line) for path in sorted(journal.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "own"


@pytest.fixture
def call(journal: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("PGJIT_AUDIT_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "80")

    def called(*arguments: str, status: Status = Status.OK) -> str:
        capsys.readouterr()
        assert run(["audit", *arguments, "--journal", str(journal)]) == status
        printed = capsys.readouterr()
        return printed.out if status == Status.OK else printed.err

    return called


def first(records: Records, type_: str, **members: object) -> dict[str, Any]:
    return next(each for each in records if each["type"] == type_ and members.items() <= each.items())


def test_the_list_fits_eighty_columns_and_hides_catalog_chatter(call: Call, records: Records) -> None:
    text = call("list", "--limit", "2000")
    assert all(len(line) <= 80 for line in text.splitlines())
    asked = [each for each in records if each["type"] == "execution" and each.get("about") != "catalog"]
    assert len(text.splitlines()) == len(asked) + 1
    newest = asked[-1]
    assert text.splitlines()[1].split()[0] == str(newest["seq"])


def test_the_filters_of_the_list_are_its_options(call: Call, records: Records) -> None:
    refused = first(records, "execution", decision="deny", kind="update")
    filters = (
        f"--identity={refused['identity']}", f"--policy={refused['policy']}", f"--window={refused['window']}",
        f"--session={refused['execution'].split('/')[0]}", f"--object={refused['reads'][0]}", "--decision=deny",
        f"--since={refused['time']}", "--until=now", "--rule=write-scope", "--sqlstate=42501",
        f"--text={refused['statement'][:12].lower()}", "--by=duration", "--limit=1", "--catalog",
    )  # fmt: skip
    listed = json.loads(call("list", *filters, "--json"))
    assert [each["decision"] for each in listed["items"]] == ["deny"]
    assert call("list", "--group=nobody", "--connection=none", "--after-end") == "There is no such execution.\n"


def test_a_list_as_csv_has_a_column_for_each_member(call: Call) -> None:
    rows = list(csv.DictReader(io.StringIO(call("list", "--csv", "--limit", "5"))))
    assert len(rows) == 5
    assert rows[0]["time"].endswith("Z")


def test_an_execution_is_shown_with_all_that_belongs_to_it(call: Call, records: Records) -> None:
    refused = first(records, "execution", decision="deny", kind="update")
    text = call("show", str(refused["seq"]))
    assert refused["execution"] in text
    assert refused["violations"][0]["message"] in text
    lines = text.splitlines()
    caret = next(at for at, line in enumerate(lines) if line.strip() == "^")
    assert lines[caret - 1].startswith("  LINE 1: ")
    shown = json.loads(call("show", refused["execution"], "--json"))
    assert [each["type"] for each in shown["records"]] == ["execution", "outcome"]
    assert shown["session"]["session"] == refused["execution"].split("/")[0]
    assert shown["window"]["window"] == refused["window"]


def test_a_record_of_another_type_is_shown_too(call: Call, records: Records) -> None:
    started = first(records, "service.started")
    assert "config_hash" in call("show", str(started["seq"]))
    ended = first(records, "window.ended")
    assert ended["window"]["id"] in call("show", str(ended["seq"]))


def test_what_is_not_in_the_journal_is_named(call: Call) -> None:
    for arguments in (("show", "999999"), ("window", "w_x"), ("replay", "x")):
        assert f"`{arguments[1]}` is not in the journal" in call(*arguments, status=Status.FAILED)


def test_characters_that_control_a_terminal_are_shown_escaped(call: Call, records: Records) -> None:
    hidden = first(records, "execution", statement=HIDDEN)
    session = hidden["execution"].split("/")[0]
    sql = f"SELECT statement FROM executions WHERE seq = {hidden['seq']}"
    printed = (
        call("show", hidden["execution"]),
        call("list", "--text", "hidden"),
        call("window", hidden["window"], "--whole"),
        call("replay", session, "--speed", "0"),
        call("sql", sql),
        call("sql", sql, "--csv"),
    )
    for text in printed:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "\\u202e\\u001b[31m hidden" in printed[0]


def test_a_windows_story_is_on_one_page(call: Call, records: Records) -> None:
    used = next((each for each in records if each.get("state") == "used"), None)
    assert used is not None, "the story has no window after a review"
    text = call("window", used["window"]["id"])
    assert all(len(line) <= 80 for line in text.splitlines())
    for part in (
        "request",
        "asked for 900 s",
        "approved by reviewer@example.com via slack",
        "opening",
        "sessions",
        "end",
    ):
        assert part in text
    story = json.loads(call("window", used["window"]["id"], "--json"))
    count = sum(each.get("window") == used["window"]["id"] for each in records if each["type"] == "execution")
    assert story["totals"]["executions"] == count
    assert story["request"]["request"] == used["request"]


def test_a_replay_keeps_the_pauses(call: Call, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(audit_show, "pause", pauses.append)
    session = first(records, "session.opened")["session"]
    text = call("replay", session, "--speed", "2")
    mine = [each for each in records if each.get("session", str(each.get("execution")).split("/")[0]) == session]
    assert len(pauses) == len(mine)
    assert 0 < max(pauses) <= 0.03
    assert text.startswith("+00:00:00.000  [session.opened] psql from 10.0.0.7")
    assert len(json.loads(call("replay", session, "--json"))["records"]) == len(mine)


def test_sql_runs_over_the_views(call: Call, records: Records) -> None:
    count = sum(each["type"] == "execution" for each in records)
    assert call("sql", "SELECT count(*) AS n FROM executions").split() == ["n", str(count), "(1", "row)"]
    as_json = json.loads(call("sql", "SELECT 1 AS one, NULL AS none, [1.5] AS list", "--json"))
    assert as_json["items"] == [{"one": 1, "list": [1.5]}]
    assert "there are more: --limit 2 ended it" in call("sql", "SELECT * FROM range(5)", "--limit", "2")
    formula = call("sql", "SELECT '=cmd()' AS a, -1 AS b", "--csv")
    assert formula == "a,b\n'=cmd(),-1\n"


def test_an_error_of_sql_shows_the_place(call: Call) -> None:
    text = call("sql", "SELECT nope FROM executions", status=Status.FAILED)
    assert text.startswith("LINE 1: SELECT nope FROM executions\n               ^\nerror: ")


def test_a_journal_that_is_missing_ends_with_4(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "list", "--journal", str(tmp_path / "none")]) == Status.UNAVAILABLE
    assert "journal-not-found" in capsys.readouterr().err
    assert run(["audit", "list", "--config", str(tmp_path / "none.yaml")]) == Status.INVALID


def test_the_configuration_names_the_journal(
    call: Call, journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "pgjit.yaml"
    config.write_text(f"journal: {{folder: '{journal}'}}\npolicies: broken\n")
    assert run(["audit", "list", "--limit", "1", "--config", str(config)]) == Status.OK
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_an_answer_that_lacks_something_says_so(
    call: Call, journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_journal(tmp_path / "journal", JournalStory(20).lines(), segment_lines=15)
    paths[1].unlink()
    assert run(["audit", "list", "--journal", str(tmp_path / "journal")]) == Status.FAILED
    assert "NOT COMPLETE: lines 15 to 29 are missing" in capsys.readouterr().err


def test_a_report_has_its_parts_as_text_json_csv_and_one_page(call: Call, tmp_path: Path) -> None:
    text = call("report")
    for part in PARTS.values():
        assert part.title in text
    assert all(len(line) <= 110 for line in text.splitlines())
    document = json.loads(call("report", "--json", "--since", "2026-11-01"))
    assert set(document["parts"]) == set(PARTS)
    rows = list(csv.DictReader(io.StringIO(call("report", "population", "--csv"))))
    assert [each["missing"] for each in rows] == ["0"]
    call("report", "--html", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") >= 3
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "report.html").stat().st_mode & 0o077 == 0
    assert call("report", "nothing", status=Status.USAGE)
    assert call("report", "--csv", status=Status.USAGE)


def test_the_journal_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = list(JournalStory(60, people=1).lines())
    [path] = write_journal(tmp_path / "journal", lines[:20])
    steps = iter((lines[20:25], lines[25:]))

    def write_more(_seconds: float) -> None:
        if (more := next(steps, None)) is None:
            raise KeyboardInterrupt
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in more)

    monkeypatch.setattr(audit_tail, "pause", write_more)
    assert run(["audit", "tail", "--journal", str(path.parent), "--catalog", "-n", "3"]) == Status.OK
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3 + len(lines) - 20
    assert "person0@example.com  >  " in next(line for line in printed if "  >  " in line)
    assert (
        run(["audit", "tail", "--journal", str(path.parent), "--json", "--no-follow", "--type", "service"])
        == Status.OK
    )
    assert [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()] == ["service.started"]
    since = ["audit", "tail", "--journal", str(path.parent), "--catalog", "--no-follow", "--since"]
    assert run([*since, "2000-01-01"]) == Status.OK
    assert len(capsys.readouterr().out.splitlines()) == len(lines)
    assert run([*since, "2000-01-01", "-n", "7"]) == Status.OK
    assert len(capsys.readouterr().out.splitlines()) == 7
    assert run([*since, "2999-01-01"]) == Status.OK
    assert run([*since, "soon"]) == Status.FAILED
    assert capsys.readouterr().out == ""
    assert run(["audit", "tail", "--journal", str(tmp_path / "none")]) == Status.UNAVAILABLE
