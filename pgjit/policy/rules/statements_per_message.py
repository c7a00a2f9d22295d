"""Messages of too many statements.

A message of the simple protocol may hold `at_most` statements, separated by semicolons.

Why: all statements of a message are judged before the first one runs. A script of thousands of statements keeps this
proxy busy.

Instead: send the statements in several messages. A message is a transaction of its own only if it does not hold
BEGIN.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Message

__all__ = ["RULE", "StatementsPerMessageOptions"]


class StatementsPerMessageOptions(RuleOptions):
    at_most: int = Field(1000, ge=1, strict=True, description="Statements of one message.")


def _check(message: Message, terms: StatementTerms) -> Iterator[Violation]:
    most = terms.options("statements-per-message", StatementsPerMessageOptions).at_most
    count = len(message.statements)
    if count > most:
        yield Violation(
            rule="statements-per-message",
            message=f"message of {count} statements holds more than this policy allows",
            detail=f"A message may hold {most}.",
            hint="Send them in several messages.",
            position=message.statements[most].position + 1,
            sqlstate="54000",
            statement=most,
            objects=STATEMENT,
        )


RULE = Rule(
    "statements-per-message", __doc__, message=_check, options=StatementsPerMessageOptions,
    switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}),
)  # fmt: skip
