"""May this message run under this policy: every rule over every statement. Pure.

INVARIANT: a message runs only when no rule found anything in any of its statements, so one more rule can only
refuse more. Under `access: full` no rule is asked: such a policy records, and refuses nothing.
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
"""Violations that are told of one message: what refuses it is recorded, and a record has to stay readable."""


def evaluate(
    policy: Policy,
    message: Message,
    catalog: Catalog | None = None,
    rules: Iterable[Rule] = tuple(RULES.values()),
    *,
    steps: StepBudget | None = None,
    passages: Passages | None = None,
) -> Decision:
    """Allow, or Deny with every violation, up to `MOST`. All statements of a message run, or none.

    `steps`: how far the names in it may lead, all together. `passages` collects what an explanation needs.
    """
    terms = policy.statements
    if terms.access is Preset.FULL:
        return Allow()
    asked = tuple(rule for rule in rules if rule.asked(terms))
    violations = tuple(islice(_violations(terms, message, catalog, asked, steps or StepBudget(), passages), MOST))
    return Deny(violations) if violations else Allow()


def _violations(
    terms: StatementTerms,
    message: Message,
    catalog: Catalog | None,
    rules: tuple[Rule, ...],
    steps: StepBudget,
    passages: Passages | None,
) -> Iterator[Violation]:
    for rule in rules:
        if rule.message is not None:
            yield from rule.message(message, terms)
    for statement in message.statements:
        referenced = referenced_objects(terms, statement, catalog, steps)
        if passages is not None:
            passages.begin(statement, referenced)
        for rule in rules:
            yield from rule.check(statement, terms, referenced, passages)


def referenced_objects(
    terms: StatementTerms, statement: Statement, catalog: Catalog | None, steps: StepBudget | None = None
) -> ReferencedObjects | None:
    """What the statement touches; None where the policy does not ask and nobody could tell."""
    if catalog is None and not terms.needs_names:
        return None
    return resolve(statement, catalog, steps=steps, columns_matter=build_denial_test(terms))


def parameter_types(policy: Policy, message: Message, catalog: Catalog | None) -> frozenset[int]:
    """The types, beside the built-in ones, that parameters of the message may be given: reading them runs no code
    that the policy does not open."""
    if catalog is None:
        return frozenset()
    kinds = frozenset[str]().union(*(collect_kinds(statement) for statement in message.statements))
    opened = find_opened_extensions(policy.statements, catalog.extensions, kinds)
    if not opened:
        return catalog.enums
    return catalog.enums.union(*(catalog.extension_types.get(name, frozenset()) for name in opened))
