"""Operators that are not built in: an operator is a function call in disguise."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["BUILTIN", "RULE"]

# The operators of pg_catalog in PostgreSQL 16 and 18; a test compares them with the catalogs. `!=` is read as `<>`.
BUILTIN = frozenset(
    """
    = <> < <= > >= + - * / % ^ | & # ~ << >> || !! @ |/ ||/ ~~ !~~ ~~* !~~* ~* !~ !~* ^@ -> ->> #> #>> #- @> <@
    ? ?| ?& @? @@ @@@ && -|- &< &> &<| |&> <<| |>> <<= >>= <^ >^ ~= <-> ## @-@ ?# ?- ?|| ?-| *= *<> *< *<= *> *>=
    ~<~ ~<=~ ~>~ ~>=~
""".split()
)


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    for operator in statement.operators:
        if operator.builtin not in BUILTIN and operator.text not in terms.operators:
            yield Violation(
                rule="foreign-operator",
                message=f"operator `{operator.text}` is not a built-in operator",
                detail="A user-defined operator runs a function, which can do anything that its owner may.",
                hint="Use a built-in operator, or ask for this one to be named in the policy.",
                position=operator.position,
                statement=statement.index,
            )


RULE = Rule("foreign-operator", _check)
