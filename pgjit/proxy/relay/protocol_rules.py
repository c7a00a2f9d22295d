"""The violations that the relay itself finds, under every policy: unknown names, and messages that cannot be judged.

Decides about messages. What a statement may do is decided by the policy's rules (`pgjit.policy.rules`).
"""

from __future__ import annotations

from dataclasses import replace

from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.prepared_statements import MOST, MOST_BYTES
from pgjit.sql.statement import Statement
from pgwire.messages.extended import Parse

__all__ = [
    "FUNCTION_CALL",
    "ONE_WRITE",
    "TOO_LONG_TOGETHER",
    "TOO_MANY_NAMES",
    "doubtful_name",
    "message_too_large",
    "names_too_deep",
    "not_in_explain",
    "numbered",
    "parse_violations",
    "refused_sibling",
    "transaction_by_execute",
    "uncertain_name",
    "unknown_name",
]

_BUILTIN_TYPES = 16384  # FirstNormalObjectId: types below are PostgreSQL's own

FUNCTION_CALL = Violation(
    rule="function-call",
    message="function calls of the fast-path interface are not allowed",
    detail="A FunctionCall message names a function by number: it cannot be judged, nor its result cut.",
    hint="Call the function in a SELECT.",
)


TOO_MANY_NAMES = Violation(
    rule="too-many-names",
    message="too many prepared statements and cursors in this session",
    detail=f"It may hold {MOST} of them, and {MOST_BYTES // 1024 // 1024} MiB of their text and parameters.",
    hint="Close those that are not needed any more, with DEALLOCATE and CLOSE.",
    sqlstate="54000",
)


def message_too_large(size: int) -> Violation:
    return Violation(
        rule="message-too-large",
        message=f"message of {size} bytes is too large",
        detail="It is over this proxy's `limits.message_bytes`; nothing of it was kept.",
        hint="Send values in several smaller statements, or many rows with COPY.",
        sqlstate="54000",
    )


def unknown_name(what: str, name: str, sqlstate: str, statement: int | None) -> Violation:
    return Violation(
        rule="unknown-name",
        message=f"{what} `{name}` does not exist",
        detail="Only what was prepared and judged in this session can be run under a name.",
        hint="Prepare it again in this session.",
        sqlstate=sqlstate,
        statement=statement,
    )


def doubtful_name(what: str, name: str, sqlstate: str, statement: int | None) -> Violation:
    return Violation(
        rule="unknown-name",
        message=f"{what} `{name}` may have been changed",
        detail="The code of a DO block has run since it was made: what the name stands for now is not known.",
        hint="Prepare it again, under another name.",
        sqlstate=sqlstate,
        statement=statement,
    )


def uncertain_name(name: str, encoding: str, statement: int | None = None) -> Violation:
    return Violation(
        rule="unknown-name",
        message=f"`{name}` may be another name to this server",
        detail=f"The server's encoding is {encoding}: it may cut or convert the name to one that was not judged.",
        hint="Use a name of fewer than 60 ASCII characters.",
        sqlstate="42602",
        statement=statement,
    )


def names_too_deep(statement: int | None) -> Violation:
    return Violation(
        rule="unknown-name",
        message="prepared statement executes too many others, one through the other",
        detail="What it runs in the end has to be known.",
        hint="Execute the last one by its own name.",
        sqlstate="54001",
        statement=statement,
    )


def transaction_by_execute(name: str, statement: int | None) -> Violation:
    return Violation(
        rule="transaction-by-execute",
        message=f"prepared statement `{name}` begins, ends or rolls back a transaction, so EXECUTE cannot run it",
        detail="PostgreSQL does not expect that, and its session may break, so that nothing stops it any more.",
        hint="Send BEGIN, COMMIT, ROLLBACK or SAVEPOINT itself.",
        sqlstate="0A000",
        statement=statement,
    )


def not_in_explain(kind: str, statement: Statement) -> Violation:
    """In the words of the rule `statement-kind` for a statement that is written inside EXPLAIN."""
    inside, outside = (each.replace("-", " ").upper() for each in (kind, statement.kind))
    return Violation(
        rule="statement-kind",
        message=f"{inside} inside {outside} is not allowed under this policy",
        detail="It is what the prepared statement stands for.",
        hint="Explain SELECT, INSERT, UPDATE, DELETE or MERGE.",
        position=statement.position + 1,
        statement=statement.index,
    )


def refused_sibling(found: Violation, statement: int) -> Violation:
    """For a statement without a violation of its own: another one in its message is refused."""
    return Violation(
        rule="refused-with-message",
        message=f"statement {(found.statement or 0) + 1} of its message is refused",
        detail=f"By `{found.rule}`: {found.message}. All statements of a message run, or none.",
        hint="Send it in a message of its own.",
        sqlstate=found.sqlstate,
        statement=statement,
        sibling=(found.statement or 0, found.rule),
    )


def numbered(found: Violation, statements: int) -> Violation:
    """Adds, for the client, which statement of the message it is."""
    if statements < 2 or found.statement is None:
        return found
    which = f"It is statement {found.statement + 1} of the {statements} in the message, none of which ran."
    return replace(found, detail=f"{found.detail} {which}" if found.detail else which)


TOO_LONG_TOGETHER = Violation(
    rule="statement-too-large",
    message="statements that are executed by name in one message are too long together",
    detail="Each execution is recorded with the whole text of what it runs; together these are more than 1 MiB.",
    hint="Execute each in a message of its own.",
    sqlstate="54000",
)

ONE_WRITE = Violation(
    rule="one-write-at-a-time",
    message="a statement that writes must come alone under this policy",
    detail="The policy limits results: where one is cut, what follows it in its message would run all the same.",
    hint="Send each statement in a message of its own, within BEGIN and COMMIT.",
    sqlstate="54000",
)
"""Where results are limited, a write could run behind a result that is cut."""


def parse_violations(judgement: Judgement, parse: Parse) -> tuple[Violation, ...]:
    """For a Parse whose text is allowed: several statements, or a parameter of a user-defined type but an enum."""
    if len(judgement.statements) > 1:
        several = Violation(
            rule="several-statements",
            message="cannot insert multiple commands into a prepared statement",
            hint="Prepare one statement at a time.",
            sqlstate="42601",
        )
        return (several,)
    for index, oid in enumerate(parse.types, 1):
        if oid >= _BUILTIN_TYPES and oid not in judgement.parameter_types:
            foreign = Violation(
                rule="parameter-type",
                message=f"type of parameter ${index} is not a built-in type",
                detail=f"Type {oid} is user-defined: reading a value of it can run code of its own.",
                hint="Leave the type to the server (0), or give a built-in one.",
            )
            return (foreign,)
    return ()
