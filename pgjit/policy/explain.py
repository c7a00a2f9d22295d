"""Why a statement may run, or may not: each object in it, with the entry of the policy that decided on it.

For people to read. Decides nothing: it assigns the reports of the rules to objects. A violation refuses an object, a
passage allows it. If there is neither, the preset allows it.

INVARIANT: no object is shown as refused without a violation, and none as allowed that a violation names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from pgjit.policy.decision import JudgedObject, ObjectSort, Violation
from pgjit.policy.evaluate import MOST
from pgjit.policy.match import collect_kinds, verbs_on_column, verbs_on_relation
from pgjit.policy.passages import Passage
from pgjit.policy.session_settings import setting_name
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["Ground", "grounds_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One object, and what decided on it."""

    sort: ObjectSort
    name: str
    action: str | None = None  # of relations and columns
    position: int | None = None  # characters of the message from 1
    through: tuple[str, ...] = ()  # what it is reached through, the one that is written first
    place: str | None = None  # file:line:column of the policy's line that allows it, or denies it
    rule: str | None = None  # that refuses it; None: it is allowed

    @property
    def allowed(self) -> bool:
        return self.rule is None


@dataclass(frozen=True, slots=True)
class _Listed:
    """An object of the statement, and the kinds of statements that it is written by."""

    object: JudgedObject
    name: str
    kinds: frozenset[str] = frozenset()

    def meant_by(self, other: JudgedObject) -> bool:
        """Whether what was decided on `other` holds for this object."""
        mine = self.object
        if other.sort == "kind" and mine.sort in ("relation", "column"):
            return mine.action != "read" and not self.kinds.isdisjoint(filter(None, other.name))
        return other.means(mine)

    def refused_by(self, violation: Violation) -> bool:
        return any(self.meant_by(each) or self._falls_with(each) for each in violation.objects)

    def _falls_with(self, other: JudgedObject) -> bool:
        """A refused statement refuses what it writes, and a refused relation its columns."""
        mine = self.object
        if other.sort == "kind":
            return other.name == (None,) and mine.action not in (None, "read")
        if mine.sort != "column" or other.sort != "relation":
            return False
        relation = replace(mine, sort="relation", name=mine.name[:-1], position=other.position)
        if mine.action == "write" and other.action not in (None, "read"):
            relation = replace(relation, action=other.action)
        return other.means(relation)


def grounds_of(
    statement: Statement,
    referenced: ReferencedObjects,
    preset: str,
    violations: Collection[Violation],
    passages: Iterable[Passage],
) -> tuple[Ground, ...]:
    """`referenced`: the objects in the statement. `preset`: its place in the policy. `violations`: of the message.

    If the message was refused as a whole, its statements have no grounds. If the rules stopped at the limit of
    violations, only refused objects are shown: it is not known whether the others are allowed.
    """
    if any(each.statement is None for each in violations):
        return ()
    refusals = [
        replace(each, objects=tuple(_as_listed(found, statement) for found in each.objects))
        for each in violations
        if each.statement == statement.index
    ]
    reports = [replace(each, object=_as_listed(each.object, statement)) for each in passages]
    listed = list(_list_objects(statement, referenced))
    listed += _others(listed, refusals, reports)
    grounds = (_ground(each, preset, refusals, reports) for each in listed)
    return tuple(dict.fromkeys(each for each in grounds if not each.allowed or len(violations) < MOST))


def _as_listed(found: JudgedObject, statement: Statement) -> JudgedObject:
    """Rules judge EXPLAIN ANALYZE as EXPLAIN; among the kinds of a statement it is one of its own."""
    if statement.shape.analyze and found.sort == "kind" and found.name == (statement.kind,):
        return replace(found, name=("explain-analyze",))
    return found


def _ground(listed: _Listed, preset: str, refusals: list[Violation], reports: list[Passage]) -> Ground:
    found = listed.object
    refusal = next((each for each in refusals if listed.refused_by(each)), None)
    if refusal is None:
        # A report on the object itself counts before one on the kind of statement that writes it.
        closest = sorted(reports, key=lambda each: each.object.sort != found.sort)
        place = next((each.place for each in closest if listed.meant_by(each.object)), preset)
    else:
        place = refusal.entry or ""
    return Ground(
        sort=found.sort,
        name=listed.name,
        action=found.action,
        position=found.position,
        through=found.through or (),
        place=place or None,
        rule=None if refusal is None else refusal.rule,
    )


def _list_objects(statement: Statement, referenced: ReferencedObjects) -> Iterator[_Listed]:
    for kind in sorted(collect_kinds(statement)):
        yield _Listed(JudgedObject("kind", (kind,)), kind)
    for relation in referenced.relations:
        name = (relation.schema, relation.name)
        found = JudgedObject("relation", name, relation.position, relation.through, relation.action)
        yield _Listed(found, _dotted(name), verbs_on_relation(statement, relation))
    for column in referenced.columns:
        parts = (column.schema, column.relation, column.column or "*")
        found = JudgedObject("column", parts, column.position, column.through, column.action)
        yield _Listed(found, _dotted(parts), verbs_on_column(statement, column, referenced))
    for function in referenced.functions:
        name = (function.schema, function.name)
        yield _Listed(JudgedObject("function", name, function.position, function.through), function.text)
    for kind_of_value in referenced.types:
        name = (kind_of_value.schema, kind_of_value.name)
        yield _Listed(JudgedObject("type", name, kind_of_value.position), kind_of_value.text)
    for operator in referenced.operators:
        name = (operator.schema, operator.name)
        yield _Listed(JudgedObject("operator", name, operator.position), operator.text)
    for setting in referenced.settings:
        name = setting_name(setting.name or "*")
        yield _Listed(JudgedObject("setting", name, setting.position), setting.name or "*")


def _others(listed: list[_Listed], refusals: list[Violation], reports: list[Passage]) -> Iterator[_Listed]:
    """Objects that rules decided on, and that are not among the referenced ones, such as settings that are shown."""
    decided = [each for violation in refusals for each in violation.objects] + [each.object for each in reports]
    for found in dict.fromkeys(decided):
        if found.name != (None,) and not any(each.meant_by(found) for each in listed):
            yield _Listed(found, _dotted(found.name))


def _dotted(parts: Iterable[str | None]) -> str:
    return ".".join(part for part in parts if part)
