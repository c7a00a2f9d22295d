"""What `record: statements` leaves out of an execution's record: every value that a client sent. Pure.

Decides what may hold one. The text has its constants replaced, or is left out where it was not parsed. Bound values
are only counted. The wording of a violation may quote the text, so its rule and its objects are kept alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pgjit.audit.event import Execution, Parameters
from pgjit.audit.parameters import kept
from pgjit.policy.decision import Violation
from pgjit.sql.statement import StatementSummary

__all__ = ["NOT_SHOWN", "ShownStatement", "valueless"]

NOT_SHOWN = "-- not shown: its values cannot be told from its words"
"""In place of a text that was not parsed."""


class ShownStatement(NamedTuple):
    """The members of an execution that may hold values, without them."""

    statement: str
    summary: StatementSummary | None
    violations: tuple[Violation, ...]
    parameters: Parameters | None
    through: tuple[str, ...]


def valueless(execution: Execution) -> ShownStatement:
    """What the record of the execution shows. Made for each execution, so it copies as little as it can."""
    summary = execution.summary
    masked = None if summary is None else summary.masked
    if summary is not None and summary.valueless is None:
        summary.valueless = _without_texts(summary)
    return ShownStatement(
        NOT_SHOWN if masked is None else masked,
        None if summary is None else summary.valueless,
        tuple(map(_without_wording, execution.violations)),
        None if execution.parameters is None else _counted(execution.parameters),
        tuple(NOT_SHOWN for _ in execution.through),
    )


def _without_texts(summary: StatementSummary) -> StatementSummary:
    return replace(summary, normalised=None, masked=None, rendered=None, rendered_names=None, valueless=None)


def _without_wording(violation: Violation) -> Violation:
    return replace(violation, message="", detail=None, hint=None)


def _counted(parameters: Parameters) -> Parameters:
    return Parameters(values=(), formats=(), count=kept(parameters).count)
