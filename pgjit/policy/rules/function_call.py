"""Functions off the list: built-in ones that only compute or read, and those that the policy names.

A function can do anything that its owner may. An unqualified name is taken for the built-in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Name, Statement

__all__ = ["BUILTIN", "RULE"]

# The file's head says how the list is made; a test compares it with the catalogs of real servers.
BUILTIN = frozenset(
    line
    for line in (files("pgjit.policy") / "builtin_functions.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
_JUDGED_ELSEWHERE = frozenset({"set_config"})  # by its arguments: session-setting


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    for function in statement.functions:
        if not _allowed(function, terms):
            yield Violation(
                rule="function-call",
                message=f"function `{function.text}` is not allowed under this policy",
                detail="Only built-in functions that compute or read are allowed, and those that the policy names.",
                hint="Use a built-in function, or ask for the function to be named in the policy.",
                position=function.position,
                statement=statement.index,
            )


def _allowed(function: Name, terms: StatementTerms) -> bool:
    builtin = function.builtin
    if builtin is not None and (builtin in BUILTIN or builtin in _JUDGED_ELSEWHERE):
        return True
    named = function.text if builtin is None else f"pg_catalog.{builtin}"
    return named in terms.functions


RULE = Rule("function-call", _check)
