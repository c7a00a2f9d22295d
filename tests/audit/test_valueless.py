"""Under `record: statements` no value that a client sent is in a record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgjit.audit.event import Execution, Outcome, Parameters
from pgjit.audit.record import render
from pgjit.audit.valueless import NOT_SHOWN
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.sql.parse import read_message, without_values
from pgjit.sql.summary import summary_of
from tests.audit.audit_events import CONTEXT, EVENTS, execution
from tests.audit.schema_check import assert_valid

SECRET = "s3cr3t"
TEXTS = {
    "SELECT 's3cr3t', $1, E's3cr3t', 12, $$s3cr3t$$": "SELECT $2, $1, $3, $4, $5",
    "SELECT 1 -- s3cr3t": "SELECT $1",
    "SELECT /* s3cr3t */ a FROM \"größe\" WHERE b = 'é s3cr3t' /* s3cr3t": None,
    "SELECT a FROM größe WHERE b = 'é s3cr3t' AND c = 'x'": "SELECT a FROM größe WHERE b = $1 AND c = $2",
    "PREPARE p AS SELECT $1, 's3cr3t'": "PREPARE p AS SELECT $1, $2",
    "EXECUTE p('s3cr3t', 5)": "EXECUTE p($1, $2)",
    "COMMENT ON TABLE t IS 's3cr3t'": "COMMENT ON TABLE t IS $1",
    "CREATE VIEW v AS SELECT 's3cr3t'": "CREATE VIEW v AS SELECT $1",
    "COPY t FROM '/s3cr3t' WITH (DELIMITER 's')": "COPY t FROM $1 WITH (DELIMITER $2)",
    "ALTER ROLE x PASSWORD 's3cr3t'": "ALTER ROLE x PASSWORD $1",
    "DO $x$ BEGIN PERFORM 's3cr3t'; END $x$": "DO $1",
    "SELECT U&'s3cr3t' UESCAPE '!', X'1F', B'01', 1.5e3, N's3cr3t'": "SELECT $1 UESCAPE $2, $3, $4, $5, N$6",
    "SELECT 's3cr3t'\n's3cr3t'": "SELECT $1",
}


@pytest.mark.parametrize("text", TEXTS)
def test_no_constant_and_no_comment_is_left_of_any_command(text: str) -> None:
    masked = without_values(text)
    assert masked == TEXTS[text]
    assert SECRET not in str(masked)


@pytest.mark.parametrize("text", ["SELECT $é$ $x$ s3cr3t $x$ $é$", "SELECT 1 AS ü, $aé1$ $ax1$ s3cr3t $ax1$ $aé1$"])
def test_a_text_in_a_quote_that_is_not_ascii_is_not_shown(text: str) -> None:
    assert len(read_message(text).statements) == 1
    assert without_values(text) is None
    assert SECRET.encode() not in hidden(text)


def hidden(sql: str, **changes: object) -> bytes:
    context = replace(CONTEXT, statements_only=True)
    try:
        [statement] = read_message(sql).statements
        summary = summary_of(statement, None, masks=True)
    except Exception:  # noqa: BLE001 - a text that the parser rejects
        summary = None
    event = replace(execution(sql), context=context, summary=summary)
    line = render(replace(event, **changes), 1)  # type: ignore[arg-type]
    assert_valid(json.loads(line))
    return line


def test_a_record_has_the_masked_text_and_counts_the_values() -> None:
    values = Parameters(values=(SECRET.encode(), b"2"), formats=())
    sql = "SELECT * FROM t WHERE a = 's3cr3t' AND b = $1"
    line = hidden(sql, parameters=values, through=("EXECUTE p('s3cr3t')",))
    assert SECRET.encode() not in line
    record = json.loads(line)
    assert record["statement"] == "SELECT * FROM t WHERE a = $2 AND b = $1"
    assert record["parameters"] == {"count": 2, "values": [], "truncated": True}
    assert (record["through"], record["reads"]) == ([NOT_SHOWN], ["t"])
    assert "normalised" not in record


WITH_VALUES = [
    *(text for text in TEXTS if "größe" not in text),  # it is no statement
    "LOAD 's3cr3t'",
    "CREATE TYPE e AS ENUM ('s3cr3t')",
    "COPY t FROM $$s3cr3t$$",
]


@pytest.mark.parametrize("text", WITH_VALUES)
def test_a_fingerprint_is_no_hash_of_a_value(text: str) -> None:
    def of(value: str) -> str | None:
        found: str | None = json.loads(hidden(text.replace(SECRET, value))).get("fingerprint")
        return found

    assert of("one") == of("another")
    assert of("one") is not None or "UESCAPE" in text


@pytest.mark.parametrize("text", ["SELECT 's3cr3t", "-- s3cr3t", "selct 's3cr3t'", "s3cr3t" * 1000])
def test_a_text_that_was_not_parsed_is_not_shown(text: str) -> None:
    for decision in ("allow", "deny"):
        line = hidden(text, decision=decision)
        assert SECRET.encode() not in line
        assert json.loads(line)["statement"] == NOT_SHOWN


def test_a_violation_keeps_its_rule_and_its_objects() -> None:
    objects = (JudgedObject("kind", ("select",)),)
    violation = Violation(rule="some-rule", message="s3cr3t", detail="s3cr3t", hint="s3cr3t", objects=objects)
    line = hidden("SELECT 's3cr3t'", decision="deny", violations=(violation,))
    assert SECRET.encode() not in line
    assert json.loads(line)["violations"] == [
        {"rule": "some-rule", "sqlstate": "42501", "objects": [{"object": "kind", "name": "select"}]}
    ]


def test_an_outcome_has_no_message() -> None:
    outcome = EVENTS["outcome"]
    assert isinstance(outcome, Outcome)
    failed = replace(outcome, context=replace(CONTEXT, statements_only=True), sqlstate="22P02", message="bad s3cr3t")
    line = render(failed, 1)
    assert (SECRET.encode() in line, json.loads(line)["sqlstate"]) == (False, "22P02")


def test_other_policies_lose_nothing() -> None:
    event = EVENTS["execution"]
    assert isinstance(event, Execution)
    assert json.loads(render(event, 1))["statement"] == event.statement


def test_the_members_of_a_statement_are_rendered_once_for_each_judgement() -> None:
    [statement] = read_message("SELECT 's3cr3t'").statements
    summary = summary_of(statement, None, masks=True)
    context = replace(CONTEXT, statements_only=True)
    one = replace(execution(), context=context, statement="SELECT 's3cr3t'", summary=summary)
    first = render(one, 1)
    assert summary.valueless is not None
    kept = summary.valueless.rendered
    assert kept is not None
    assert SECRET not in kept[2]
    assert (render(one, 1), summary.valueless.rendered) == (first, kept)
    assert summary.valueless.rendered is kept
