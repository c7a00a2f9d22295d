"""The text of a statement that runs now, for people who look at a live session. Pure.

Decides that a look at a session shows no more than its record: what `redact` and `record: statements` leave out of
the journal is not shown here either.
"""

from __future__ import annotations

from pgjit.audit.event import Execution
from pgjit.audit.redaction.redacted_record import redacted_statement
from pgjit.audit.valueless import NOT_SHOWN

__all__ = ["shown_statement"]


def shown_statement(execution: Execution) -> str:
    """The member `statement` of its record, whole."""
    context, summary = execution.context, execution.summary
    if context.statements_only:
        masked = None if summary is None else summary.masked
        return NOT_SHOWN if masked is None else masked
    if context.redaction is None:
        return execution.statement
    return redacted_statement(execution, context.redaction)[0]
