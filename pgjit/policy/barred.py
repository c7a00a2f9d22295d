"""Entries of `allow` that open nothing, because a rule refuses the object that they name. Pure.

An entry such as `settings: [search_path]` looks as if it opened something. This module judges a statement that uses
only the object, under the policy with the entry. Names with globs are not tried: they may mean other objects.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.policy.rules import RULES
from pgjit.policy.selector import Selector
from pgjit.sql.parse import read_message

__all__ = ["barred"]

_CATALOGS = frozenset({"pg_catalog", "information_schema"})
_VALUES = ("1", "'x'")  # if a setting takes neither, the entry may be meant for another value


def barred(entry: Selector, terms: StatementTerms) -> Iterator[str]:
    """A line for each name in the entry that opens nothing, with the rule that refuses it all the same."""
    if terms.access is Preset.FULL:
        return
    for name, probes in _probes(entry):
        refusals = [refusal for refusal in (_refusal(sql, terms) for sql in probes) if refusal is not None]
        if len(refusals) == len(probes):
            found = refusals[0]
            yield f"`{name}` in this entry of `allow` opens nothing: `{found.rule}` refuses it ({found.message})"


def _probes(entry: Selector) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each object that is named without globs: statements, one of which would run if the entry opened it."""
    for name in _exact(entry.settings):
        setting = ".".join(_quoted(part) for part in name if part)
        yield ".".join(part for part in name if part), tuple(f"SET {setting} = {value}" for value in _VALUES)
    if entry.kinds is not None and "select" not in entry.kinds:
        return
    for name in _exact(entry.relations):
        if name[0] in _CATALOGS:
            written = ".".join(_quoted(part) for part in name)
            yield ".".join(name), (f"SELECT 1 FROM {written}",)  # noqa: S608 - it is judged and never run


def _exact(patterns: Patterns | None) -> Iterator[tuple[str, ...]]:
    for pattern in patterns.included if patterns is not None else ():
        if pattern.exact:
            yield tuple(part.text for part in pattern.parts)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refusal(sql: str, terms: StatementTerms) -> Violation | None:
    message = read_message(sql)
    for rule in RULES.values():
        if rule.applies(terms):
            for statement in message.statements:
                for violation in rule.check(statement, terms, None, None):
                    return violation
    return None
