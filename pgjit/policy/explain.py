"""Why a statement may touch what it touches, or may not: for each object the line of the policy that says so.

For people and tests to read. Decides nothing: what runs is decided by the rules, whose findings go in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pgjit.policy.decision import Violation
from pgjit.policy.match import (
    Sort,
    column_grounds,
    denial_of_column,
    denial_of_name,
    denial_of_operator,
    denial_of_relation,
    denials_of_kind,
    extension_grounds,
    grounds_of_name,
    kind_grounds,
    kinds_of,
    operator_grounds,
    relation_grounds,
    words_of_column,
    words_of_relation,
)
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.policy.selector import Selector
from pgjit.policy.session_settings import setting_name
from pgjit.sql.referenced import ReferencedFunction, ReferencedObjects, ReferencedOperator, ReferencedType
from pgjit.sql.statement import Setting, Statement

__all__ = ["Ground", "grounds_of"]

Object = Literal["kind", "relation", "column", "function", "type", "operator", "setting"]
_BUILTIN = "pg_catalog"
_OF_KINDS = ("statement-kind", "ddl", "ddl-clause", "procedural-code", "select-into", "catalog-write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One object, and what decided on it."""

    sort: Object
    name: str
    action: str | None = None  # of relations and columns
    position: int | None = None  # characters of the message from 1
    through: tuple[str, ...] = ()  # what it is reached through, the one that is written first
    place: str | None = None  # file:line:column of the policy's line that allows it, or denies it
    rule: str | None = None  # that refuses it; None: it is allowed

    @property
    def allowed(self) -> bool:
        return self.rule is None


def grounds_of(
    terms: StatementTerms, statement: Statement, referenced: ReferencedObjects, violations: Iterable[Violation]
) -> tuple[Ground, ...]:
    """`violations`: what was found in the message."""
    grounds = _Grounds(terms, statement, referenced, violations)
    return tuple(dict.fromkeys(grounds.all()))


class _Grounds:
    def __init__(
        self,
        terms: StatementTerms,
        statement: Statement,
        referenced: ReferencedObjects,
        violations: Iterable[Violation],
    ) -> None:
        self._terms = terms
        self._statement = statement
        self._touched = referenced
        self._kinds = kinds_of(statement)
        mine = [each for each in violations if each.statement == statement.index]
        self._refused: dict[int | None, str] = {each.position: each.rule for each in reversed(mine) if each.position}
        self._found = list(dict.fromkeys(each.rule for each in mine))

    def all(self) -> Iterator[Ground]:
        yield from self._kind()
        yield from self._relations()
        yield from self._columns()
        for function in self._touched.functions:
            yield self._named("function", "functions", function)
        for kind in self._touched.types:
            yield self._named("type", "types", kind)
        for operator in self._touched.operators:
            yield self._operator(operator)
        for setting in self._touched.settings:
            yield self._setting(setting)

    def _ground(
        self, sort: Object, name: str, position: int | None, denial: Selector | None, place: str | None,
        *, unlisted: str, action: str | None = None, through: tuple[str, ...] = (),
    ) -> Ground:  # fmt: skip
        rule: str | None
        if self._terms.access is Preset.FULL:
            place, rule = self._terms.place, None
        elif denial is not None:
            place, rule = denial.place, "denied"
        elif place is None:
            rule = self._refused.get(position, unlisted)
        else:
            rule = self._refused.get(position)
            place = place if rule is None else None
        if rule is not None and not self._refuses(rule):
            rule, place = None, place or self._terms.place
        return Ground(
            sort=sort, name=name, action=action, position=position, through=through, place=place or None, rule=rule
        )

    def _refuses(self, rule: str) -> bool:
        """INVARIANT: what refuses an object is among the findings of the rules; without one, nothing is refused."""
        return rule in self._found or (rule == "denied" and bool(self._found))

    def _kind(self) -> Iterator[Ground]:
        denied = dict(denials_of_kind(self._terms, self._statement))
        for kind in sorted(self._kinds):
            place = kind_grounds(self._terms, kind)
            rule = self._first(_OF_KINDS) if place is None else None
            place = self._terms.place if place is None and rule is None else place
            yield self._ground("kind", kind, None, denied.get(kind), place, unlisted=rule or "")

    def _first(self, rules: tuple[str, ...]) -> str | None:
        """Which of these rules refuses the statement."""
        return next((rule for rule in rules if rule in self._found), None)

    def _of_action(self, action: str) -> str | None:
        """The rule that refuses what is done, whatever it is done to."""
        if action == "read":
            return None
        return self._first(("locking-clause", *_OF_KINDS) if action == "lock" else _OF_KINDS)

    def _relations(self) -> Iterator[Ground]:
        for relation in self._touched.relations:
            words = words_of_relation(self._statement, relation)
            rule = self._of_action(relation.action)
            yield self._ground(
                "relation", _dotted(relation.schema, relation.name), relation.position,
                denial_of_relation(self._terms, words, relation),
                relation_grounds(self._terms, words, relation) if rule is None else None,
                unlisted=rule or "unlisted-relation", action=relation.action, through=relation.through,
            )  # fmt: skip

    def _columns(self) -> Iterator[Ground]:
        for column in self._touched.columns:
            words = words_of_column(self._statement, column, self._touched)
            rule = self._of_action(column.action)
            yield self._ground(
                "column", _dotted(column.schema, column.relation, column.column or "*"), column.position,
                denial_of_column(self._terms, words, column),
                column_grounds(self._terms, words, column) if rule is None else None,
                unlisted=rule or "unlisted-relation", action=column.action, through=column.through,
            )  # fmt: skip

    def _named(self, sort: Object, names: Sort, found: ReferencedFunction | ReferencedType) -> Ground:
        name = (found.schema or _BUILTIN, found.name)
        place = grounds_of_name(self._terms, names, name, self._kinds) or self._extension(found)
        return self._ground(
            sort, found.text, found.position,
            denial_of_name(self._terms, names, (found.schema, found.name), self._kinds),
            place or (self._terms.place if found.builtin or found.schema is None else None),
            unlisted="function-call" if sort == "function" else "foreign-type",
            through=found.through if isinstance(found, ReferencedFunction) else (),
        )  # fmt: skip

    def _operator(self, found: ReferencedOperator) -> Ground:
        place = operator_grounds(self._terms, (found.text, found.name), self._kinds) or self._extension(found)
        return self._ground(
            "operator", found.text, found.position,
            denial_of_operator(self._terms, (found.schema, found.name), self._kinds),
            place or (self._terms.place if found.builtin or found.schema is None else None),
            unlisted="foreign-operator",
        )  # fmt: skip

    def _extension(self, found: ReferencedFunction | ReferencedType | ReferencedOperator) -> str | None:
        return extension_grounds(self._terms, found, self._touched.extensions, self._kinds)

    def _setting(self, setting: Setting) -> Ground:
        place, denial = self._terms.place, None
        if setting.name is not None:
            name = setting_name(setting.name)
            named = [each for each in self._terms.allow if each.settings and each.settings.match(name, lenient=False)]
            place = named[0].place if named else place
            denied = [each for each in self._terms.deny if each.settings and each.settings.match(name, lenient=True)]
            denial = denied[0] if denied else None
        return self._ground(
            "setting", setting.name or "*", setting.position, denial, place, unlisted="session-setting"
        )


def _dotted(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)
