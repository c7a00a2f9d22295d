"""What the protocol layer refuses by itself, under every policy: unknown names, and what cannot be judged.

Decides on messages; what statements may do is the policy's rules'.
"""

from __future__ import annotations

from pgjit.policy.decision import Violation
from pgjit.policy.kinds import READING
from pgjit.proxy.judge import Judgement
from pgjit.proxy.names import Names
from pgwire.messages.extended import Parse

__all__ = [
    "FUNCTION_CALL",
    "TOO_MANY_NAMES",
    "message_too_large",
    "name_violations",
    "parse_violations",
    "unknown_name",
    "writes_among_others",
]

_BUILTIN_TYPES = 16384  # FirstNormalObjectId: types below are PostgreSQL's own

FUNCTION_CALL = Violation(
    rule="function-call",
    message="function calls of the fast-path interface are not allowed",
    detail="A FunctionCall message names a function by number and cannot be judged.",
    hint="Call the function in a SELECT.",
)


TOO_MANY_NAMES = Violation(
    rule="too-many-names",
    message="too many prepared statements and cursors in this session",
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


def writes_among_others(judgement: Judgement) -> tuple[Violation, ...]:
    """Of a message under a policy that limits results: a write in it could run behind a result that is cut."""
    if len(judgement.statements) < 2 or not any(
        statement.targets or statement.kind not in READING for statement in judgement.statements
    ):
        return ()
    several = Violation(
        rule="one-write-at-a-time",
        message="a statement that writes must come alone under this policy",
        detail="The policy limits results: where one is cut, what follows it in its message would run all the same.",
        hint="Send each statement in a message of its own, within BEGIN and COMMIT.",
        sqlstate="54000",
    )
    return (several,)


def name_violations(judgement: Judgement, names: Names, *, unrestricted: bool) -> tuple[Violation, ...]:
    """EXECUTE and FETCH run what was judged under a name: the name must be known here, unless all may run."""
    prepared: set[bytes] = set()
    for statement in judgement.statements:
        effect = statement.effect
        if effect is None or effect.name is None:
            continue
        name = effect.name.encode()
        if effect.verb in ("prepare", "declare"):
            if names.full:
                return (TOO_MANY_NAMES,)
            prepared.add(effect.verb.encode() + name)
        elif unrestricted:
            continue
        elif effect.verb == "execute" and b"prepare" + name not in prepared and not names.statement(name):
            return (unknown_name("prepared statement", effect.name, "26000", statement.index),)
        elif effect.verb == "fetch" and b"declare" + name not in prepared and not names.portal(name):
            return (unknown_name("cursor", effect.name, "34000", statement.index),)
    return ()


def parse_violations(judgement: Judgement, parse: Parse) -> tuple[Violation, ...]:
    """Of a Parse message whose text was allowed: several statements, parameters of user-defined types but enums."""
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
