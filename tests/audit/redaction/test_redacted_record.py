"""Records under `redact`: nothing of a redacted value in any member, and a commitment in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pgjit.audit.event import Event, Execution, Outcome, Parameters, SessionEnded, SessionOpened
from pgjit.audit.record import render
from pgjit.audit.redaction.revealing import NotRedacted, member_salts, redacted_members
from pgjit.audit.redaction.salts import SaltFiles, SaltKey
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.pattern import Patterns
from pgjit.policy.redaction import Redaction
from pgjit.sql.statement import RedactedText, StatementSummary
from tests.audit.audit_events import AT, CONTEXT, EVENTS, NANOSECONDS, execution
from tests.audit.schema_check import assert_valid

COLUMNS = replace(CONTEXT, redaction=Redaction(columns=Patterns.of(["public.customers.email"], 2, 3)))
CARDS = replace(CONTEXT, redaction=Redaction(patterns=("s3cr3t",)))
TOUCHED = StatementSummary(
    redacted=RedactedText("SELECT '[redacted 1]'", (b"s3cr3t",), touches=True, open_parameters=frozenset({2}))
)


class _Salts:
    def key_for(self, at: datetime) -> SaltKey:
        return SaltKey(at.date().isoformat(), b"k" * 32)


def line_of(event: Event) -> bytes:
    return render(event, 7, _Salts())


def record_of(event: Event) -> dict[str, Any]:
    line = line_of(event)
    assert b"s3cr3t" not in line
    record: dict[str, Any] = json.loads(line)
    assert_valid(record)
    return record


def members(record: dict[str, Any]) -> list[str]:
    return [each["member"] for each in record["redacted"]["values"]]


def run(**of: Any) -> Execution:
    return replace(execution("SELECT 's3cr3t'"), **{"context": COLUMNS, "summary": TOUCHED, **of})


def test_the_text_and_the_parameters_of_a_redacted_column_have_commitments() -> None:
    values = Parameters(values=(b"s3cr3t", b"7", None, b"s3cr3t"), formats=())
    record = record_of(run(parameters=values, through=("EXECUTE p('s3cr3t')",)))
    assert record["statement"] == "SELECT '[redacted 1]'"
    assert record["through"] == ["-- redacted"]
    assert record["parameters"]["values"] == [{"redacted": "parameters/1"}, "7", None, {"redacted": "parameters/4"}]
    assert members(record) == ["statement/1", "parameters/1", "parameters/4"]
    assert len({each["commitment"] for each in record["redacted"]["values"]}) == 3


def test_the_wording_of_a_violation_is_left_out_where_it_may_quote_a_value() -> None:
    found = Violation(rule="denied", message="`s3cr3t` is denied", detail="s3cr3t", hint="not s3cr3t", position=3)
    (violation,) = record_of(run(decision="deny", violations=(found,)))["violations"]
    assert violation == {"rule": "denied", "sqlstate": "42501"}
    by_pattern = run(
        context=CARDS, decision="deny", prepared_as="s3cr3t", unresolved="no s3cr3t",
        violations=(replace(found, objects=(JudgedObject("relation", (None, "s3cr3t")),)),),
        summary=StatementSummary(redacted=RedactedText("SELECT '[redacted 1]'", (b"s3cr3t",))),
        through=("EXECUTE p('s3cr3t', 1)",),
    )  # fmt: skip
    record = record_of(by_pattern)
    assert record["violations"] == [{
        "rule": "denied", "message": "`[redacted 1]` is denied", "detail": "[redacted 1]", "hint": "not [redacted 1]",
        "sqlstate": "42501", "objects": [{"object": "relation", "name": "[redacted 1]"}],
    }]  # fmt: skip
    assert (record["prepared_as"], record["unresolved"]) == ("[redacted 1]", "no [redacted 1]")
    assert record["through"] == ["EXECUTE p('[redacted 1]', 1)"]


def test_a_text_that_was_not_parsed_is_left_out_or_searched() -> None:
    record = record_of(run(summary=None, statement="selct 's3cr3t'", kind=None))
    assert (record["statement"], members(record)) == ("-- redacted", ["statement/1"])
    record = record_of(run(context=CARDS, summary=None, statement="selct 's3cr3t'", kind=None))
    assert (record["statement"], members(record)) == ("selct '[redacted 1]'", ["statement/1"])
    record = record_of(run(context=CARDS, summary=None, statement="x" * 70_000 + "s3cr3t", kind=None))
    assert record["statement"] == "-- redacted"


def test_a_parameter_that_cannot_be_searched_is_left_out() -> None:
    plain = StatementSummary(redacted=RedactedText("SELECT $1"))
    values = (b"my s3cr3t", b"7", b"\x00\xff", b"x" * 5000)
    record = record_of(run(context=CARDS, summary=plain, parameters=Parameters(values=values, formats=(0, 0, 1, 0))))
    redacted = [{"redacted": f"parameters/{number}"} for number in (1, 3, 4)]
    assert record["parameters"]["values"] == [redacted[0], "7", *redacted[1:]]


def test_a_message_of_the_server_may_quote_any_column() -> None:
    failed = Outcome(
        context=COLUMNS, number=1, at=NANOSECONDS, ended="failed", command=None, rows=0, bytes=0, sqlstate="22P02",
        message='invalid input: "s3cr3t"', duration_us=5,
    )  # fmt: skip
    record = record_of(failed)
    assert (record["message"], record["sqlstate"], members(record)) == ("[redacted 1]", "22P02", ["message/1"])
    record = record_of(replace(failed, context=CARDS))
    assert (record["message"], members(record)) == ('invalid input: "[redacted 1]"', ["message/1"])
    record = record_of(replace(failed, context=CARDS, message="all is well"))
    assert record["message"] == "all is well"
    assert "redacted" not in record
    assert record_of(replace(failed, context=CARDS, message="s3cr3t" + "x" * 70_000))["message"] == "[redacted 1]"


def test_the_servers_last_words_are_left_out() -> None:
    over = SessionEnded(context=COLUMNS, at=AT, reason="server", detail="s3cr3t", executions=1, proof=None)
    assert record_of(over)["detail"] == "[redacted]"
    assert record_of(replace(over, context=CARDS))["detail"] == "[redacted 1]"
    assert json.loads(line_of(replace(over, context=COLUMNS, reason="ttl", detail="over")))["detail"] == "over"
    without_values = replace(over, context=replace(CONTEXT, statements_only=True))
    assert record_of(without_values)["detail"] is None
    assert json.loads(line_of(replace(without_values, reason="ttl", detail="over")))["detail"] == "over"


def test_a_pattern_is_searched_for_in_the_startup_message() -> None:
    opened = EVENTS["session.opened"]
    assert isinstance(opened, SessionOpened)
    opened = replace(opened, context=CARDS, application_name="s3cr3t app", startup_user="s3cr3t")
    record = record_of(opened)
    assert (record["application_name"], record["startup_user"]) == ("[redacted 1] app", "[redacted 1]")
    assert record_of(replace(opened, application_name=None))["application_name"] is None


def test_under_record_statements_there_is_nothing_to_commit_to() -> None:
    summary = replace(TOUCHED, masked="SELECT $1")
    context = replace(COLUMNS, statements_only=True)
    record = record_of(run(context=context, summary=summary, parameters=Parameters(values=(b"s3cr3t",), formats=())))
    assert (record["statement"], record["parameters"]["values"]) == ("SELECT $1", [])
    assert "redacted" not in record


def test_who_has_the_value_and_the_salt_proves_it(tmp_path: Path) -> None:
    line = render(run(), 7, SaltFiles(tmp_path))
    found = redacted_members(line)
    salts = member_salts(tmp_path, found)
    assert salts is not None
    assert found.holds("statement/1", salts["statement/1"], "s3cr3t")
    assert not found.holds("statement/1", salts["statement/1"], "s3cr3ts")
    assert not found.holds("statement/1", bytes(16), "s3cr3t")
    with pytest.raises(NotRedacted, match="`statement/2` is not redacted in this record; redacted are statement/1"):
        found.holds("statement/2", bytes(16), "")
    with pytest.raises(NotRedacted, match="32 hexadecimal digits, not 2"):
        found.holds("statement/1", b"x", "")
    (tmp_path / "salts" / found.salts[:10]).unlink()
    assert member_salts(tmp_path, found) is None
    for bad, why in ((b"{}", "nothing in this record"), (b"x", "no record"), (b'{"redacted": 7}', "no record")):
        with pytest.raises(NotRedacted, match=why):
            redacted_members(bad)


def test_without_salts_there_is_no_record() -> None:
    with pytest.raises(ValueError, match="needs salts"):
        render(run(), 7)
