"""The report: each part counts what a look at the records counts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pgjit.audit.reading.reader import Reader, opened_reader
from pgjit.audit.reading.report import PARTS, AuditReport, make_report
from pgjit.audit.reading.segment_cache import SegmentCache
from tests.audit.reading.conftest import WrittenJournal, two_stopped
from tests.fixtures.journals import JournalStory, write_journal

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def made(reader: Reader, *names: str, since: datetime | None = None, until: datetime | None = None) -> AuditReport:
    return make_report(reader, names or tuple(PARTS), since, until, NOW)


def test_every_part_counts_what_the_records_have(written: WrittenJournal, reader: Reader) -> None:
    report = made(reader)
    parts = {name: rows.as_dicts() for name, rows in report.parts.items()}
    executions = written.of("execution")
    denied = [each for each in executions if each["decision"] == "deny"]
    assert sum(int(str(each["refused"])) for each in parts["activity"]) == len(denied)
    assert sum(int(str(each["refused"])) for each in parts["hours"]) == len(denied)  # it is all of two days
    ended = Counter(each["ended"] for each in written.of("outcome"))
    for part in ("activity", "hours"):
        sums = {
            name: sum(int(str(each[name])) for each in parts[part])
            for name in ("allowed", "refused", "failed", "stopped")
        }
        assert (sums["failed"], sums["stopped"]) == (ended["failed"], ended["limited"] + ended["cut"])
        assert sum(sums.values()) == len(executions)
    assert all(isinstance(hour := each["hour"], datetime) and hour.minute == 0 for each in parts["hours"])
    assert {each["window"] for each in parts["access"]} == {
        each["window"]["id"] for each in written.of("window.opened")
    }
    refused = Counter(str(each["what"]) for each in parts["denials"] for _ in range(int(str(each["times"]))))
    assert refused == {"statement": len(denied), "login": len(written.of("login.refused"))}
    killed = [each for each in written.of("session.ended") if each["proof"] is not None]
    assert [each["took_ms"] for each in parts["kills"]] == sorted(
        (each["proof"]["took_ms"] for each in killed), reverse=True
    )
    assert sum(int(str(each["rows"])) for each in parts["rows"]) == sum(
        each["rows"] for each in written.of("outcome")
    )
    assert parts["late"] == []
    [population] = parts["population"]
    assert (population["records"], population["missing"], population["executions"]) == (
        len(written.records), 0, len(executions),
    )  # fmt: skip
    document = report.document()
    assert document["complete"] is True


def test_what_was_stopped_is_not_counted_as_allowed(tmp_path: Path) -> None:
    lines, failed = two_stopped()
    write_journal(tmp_path / "journal", lines)
    with opened_reader([tmp_path / "journal"], SegmentCache(tmp_path / "cache")) as reader:
        days = made(reader, "activity").parts["activity"].as_dicts()
    sums = {name: sum(int(str(each[name])) for each in days) for name in ("allowed", "refused", "failed", "stopped")}
    assert (sums["failed"], sums["stopped"]) == (failed, 2)
    assert sum(sums.values()) == sum('"type":"execution"' in line for line in lines)


def test_a_period_narrows_it(written: WrittenJournal, reader: Reader) -> None:
    at = written.of("execution")[300]["time"]
    moment = datetime.fromisoformat(at)

    def count(report: AuditReport) -> int:
        return sum(int(str(each["executions"])) for each in report.parts["rows"].as_dicts())

    assert count(made(reader, "rows", since=moment)) == len(written.of("execution")) - 300
    assert count(made(reader, "rows", until=moment)) == 300


def test_unused_grants_late_executions_and_gaps_are_found(tmp_path: Path) -> None:
    lines = list(JournalStory(200, people=2, seed=3).lines())
    ends = [at for at, line in enumerate(lines) if '"type":"window.ended"' in line]
    first = [line for line in lines[: ends[0] + 1] if '"type":"execution"' not in line and '"outcome"' not in line]
    late = next(line for line in lines[ends[0] :] if '"type":"execution"' in line and '"allow"' in line)
    window = next(line for line in lines if '"type":"window.opened"' in line).split('"id":"')[1].split('"')[0]
    then = late.split('"window":"')[1].split('"')[0]
    write_journal(tmp_path / "journal", [*first, *lines[ends[0] + 1 :], late.replace("2026-11-28T", "2026-12-28T")])
    with opened_reader([tmp_path / "journal"], SegmentCache(tmp_path / "cache")) as reader:
        report = made(reader, "unused", "late", "population")
    assert [(each["what"], each["id"]) for each in report.parts["unused"].as_dicts() if each["what"] == "window"] == [
        ("window", window)
    ]
    assert [str(each["execution"]).split("/")[0] in late for each in report.parts["late"].as_dicts()] == [True]
    assert then != window
    [population] = report.parts["population"].as_dicts()
    assert int(str(population["missing"])) == ends[0] + 1 - len(first)
    assert population["repeated"] == 1
