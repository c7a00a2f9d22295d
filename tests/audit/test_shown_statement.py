"""A look at what runs shows no more than its record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgjit.audit.event import Execution, SessionContext
from pgjit.audit.record import render
from pgjit.audit.shown_statement import shown_statement
from pgjit.audit.valueless import NOT_SHOWN
from pgjit.sql.parse import read_message
from pgjit.sql.summary import summary_of
from tests.audit.audit_events import CONTEXT, execution
from tests.audit.redaction.test_redacted_record import CARDS, COLUMNS, TOUCHED, _Salts

TEXT = "SELECT 's3cr3t'"


def masked(context: SessionContext) -> Execution:
    [statement] = read_message(TEXT).statements
    return replace(execution(TEXT), context=context, summary=summary_of(statement, None, masks=True))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (execution(TEXT), TEXT),
        (masked(replace(CONTEXT, statements_only=True)), "SELECT $1"),
        (replace(execution(TEXT), context=replace(CONTEXT, statements_only=True), summary=None), NOT_SHOWN),
        (replace(execution(TEXT), context=COLUMNS, summary=TOUCHED), "SELECT '[redacted 1]'"),
        (replace(execution(TEXT), context=COLUMNS, summary=None), "-- redacted"),
        (replace(execution(TEXT), context=CARDS, summary=None), "SELECT '[redacted 1]'"),
    ],
    ids=["plain", "statements only", "not parsed", "columns", "columns, not parsed", "patterns"],
)
def test_it_is_the_text_of_the_record(event: Execution, expected: str) -> None:
    assert shown_statement(event) == expected
    assert json.loads(render(event, 1, _Salts()))["statement"] == expected
