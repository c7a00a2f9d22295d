"""May this message run under this policy: every rule over every statement. Pure.

INVARIANT: a message runs only if no rule yields a violation for any of its statements, so one more rule can only
refuse more. Under `access: full` no rule is applied: such a policy records, and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pgjit.policy.decision import Allow, Decision, Deny, Violation
from pgjit.policy.match import build_denial_test, collect_kinds, find_opened_extensions
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy, Preset, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules import RULES
from pgjit.sql.catalog import Catalog
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.object_collector import StepBudget
from pgjit.sql.resolve.resolve import resolve
from pgjit.sql.statement import Message, Statement

__all__ = ["MOST", "evaluate", "parameter_types", "referenced_objects"]

MOST = 100
"""The most violations of one message. They are recorded, and a record has to stay readable."""


def evaluate(
    policy: Policy,
    message: Message,
    catalog: Catalog | None = None,
    rules: Iterable[Rule] | None = None,
    *,
    steps: StepBudget | None = None,
    passages: Passages | None = None,
    resolved: dict[int, ReferencedObjects | None] | None = None,
) -> Decision:
    """Allow, or Deny with every violation, up to `MOST`. All statements of a message run, or none.

    `steps` limits the name resolution of the whole message. `passages` collects what an explanation needs,
    `resolved` the objects in each statement, by its index.
    """
    terms = policy.statements
    if terms.access is Preset.FULL:
        return Allow()
    applied = _applied(terms) if rules is None else tuple(rule for rule in rules if rule.applies(terms))
    violations = tuple(
        islice(_violations(terms, message, catalog, applied, steps or StepBudget(), passages, resolved), MOST)
    )
    return Deny(violations) if violations else Allow()


def _applied(terms: StatementTerms) -> tuple[Rule, ...]:
    """The rules that apply under these terms. Found once, as they never change."""
    found = _APPLIED.get(id(terms))
    if found is None or found[0] is not terms:
        if len(_APPLIED) >= _MOST_KEPT:
            _APPLIED.clear()
        found = _APPLIED[id(terms)] = terms, tuple(rule for rule in RULES.values() if rule.applies(terms))
    return found[1]


_MOST_KEPT = 100
_APPLIED: dict[int, tuple[StatementTerms, tuple[Rule, ...]]] = {}


def _violations(
    terms: StatementTerms,
    message: Message,
    catalog: Catalog | None,
    rules: tuple[Rule, ...],
    steps: StepBudget,
    passages: Passages | None,
    resolved: dict[int, ReferencedObjects | None] | None,
) -> Iterator[Violation]:
    for rule in rules:
        if rule.message is not None:
            yield from rule.message(message, terms)
    for statement in message.statements:
        referenced = referenced_objects(terms, statement, catalog, steps)
        if resolved is not None:
            resolved[statement.index] = referenced
        if passages is not None:
            passages.begin(statement, referenced)
        for rule in rules:
            yield from rule.check(statement, terms, referenced, passages)


def referenced_objects(
    terms: StatementTerms, statement: Statement, catalog: Catalog | None, steps: StepBudget | None = None
) -> ReferencedObjects | None:
    """The objects in the statement. None without a catalog, if the policy does not need names."""
    if catalog is None and not terms.needs_names:
        return None
    return resolve(statement, catalog, steps=steps, columns_matter=build_denial_test(terms))


def parameter_types(policy: Policy, message: Message, catalog: Catalog | None) -> frozenset[int]:
    """The types that parameters may have besides the built-in ones: those whose input runs no code, or only code that
    the policy opens."""
    if catalog is None:
        return frozenset()
    kinds = frozenset[str]().union(*(collect_kinds(statement) for statement in message.statements))
    opened = find_opened_extensions(policy.statements, catalog.extensions, kinds)
    if not opened:
        return catalog.enums
    return catalog.enums.union(*(catalog.extension_types.get(name, frozenset()) for name in opened))
