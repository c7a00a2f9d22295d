"""What a name of the session stands for, and what runs by it: values. Pure.

`prepared_statements.py` keeps them by their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pgjit.audit.event import Parameters
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.kinds import READING
from pgjit.proxy.relay.parameter_types import ParameterTypes
from pgjit.sql.statement import NameEffect, Statement

__all__ = [
    "DOUBT",
    "Change",
    "ExecutedStatement",
    "Portal",
    "Prepared",
    "Space",
    "changes_of",
    "readable",
    "unknown",
]

Space = Literal["statement", "portal"]

_OVERHEAD = 2048
_NAMED = 200


@dataclass(slots=True)  # not frozen, as Portal
class Prepared:
    """A statement that was judged when it was prepared. It is None for an empty text, and for an `unread` one.

    It never changes.
    """

    text: str
    statement: Statement | None
    unread: bool = False
    observed: tuple[Violation, ...] = ()  # what would refuse it if the policy were enforced
    doubtful: bool = False  # something ran since that may have changed what the name stands for
    unresolved: str | None = None  # why pgjit does not know what it is
    judge: int = 0  # the number of the judge, and so of the catalog, that allowed it
    own: bool = False  # pgjit itself answers it
    types: ParameterTypes = field(default_factory=ParameterTypes, compare=False)
    plain: Statement | None = field(default=None, compare=False)  # as in its judgement, if nothing is in doubt

    @classmethod
    def of(cls, judgement: Judgement, types: Sequence[int] = ()) -> Prepared:
        """`types`: as the Parse has them."""
        statement = judgement.statements[0] if judgement.statements else None
        own = judgement.pgjit_setting is not None
        number = judgement.judge_number
        prepared = cls(
            judgement.text, statement, judgement.unread, judgement.observed, False, None, number, own,
            ParameterTypes(), judgement.plain,
        )  # fmt: skip
        if types:
            prepared.types.note(types)
        return prepared

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        facts = self.statement
        named = 0 if facts is None else len(facts.relations) + len(facts.functions) + len(facts.types)
        return _OVERHEAD + 2 * len(self.text) + _NAMED * named


@dataclass(slots=True, init=False)  # not frozen: a frozen one takes three times as long to make
class Portal:
    """It never changes."""

    prepared: Prepared
    parameters: Parameters | None
    statement_name: bytes
    hold: bool  # it outlives its transaction
    began: ExecutedStatement | None  # the statement that it runs by a name: fixed when it begins
    doubtful: bool
    formats: tuple[int, ...]  # of its result, as in Bind

    def __init__(
        self,
        prepared: Prepared,
        parameters: Parameters | None,
        statement_name: bytes,
        hold: bool = False,
        began: ExecutedStatement | None = None,
        doubtful: bool = False,
        formats: tuple[int, ...] = (),
    ) -> None:
        self.prepared = prepared
        self.parameters = parameters
        self.statement_name = statement_name
        self.hold = hold
        self.began = began
        self.doubtful = doubtful
        self.formats = formats

    def under(self, prepared: Prepared) -> Portal:
        """The same of `prepared`, which is its own statement as it is judged now."""
        return self if prepared is self.prepared else replace(self, prepared=prepared)

    @property
    def size(self) -> int:
        """The statement counts as well: this portal may be all that still holds it."""
        size = _OVERHEAD + self.prepared.size
        if self.parameters is not None:
            for value in self.parameters.values:
                size += len(value) if value else 0
        return size


class Change(NamedTuple):
    """A change of one name, or of all where `name` is None. Without a `value` they are dropped.

    In `doubt` no name is dropped, and pgjit does not know any more what they stand for.
    """

    space: Space
    name: bytes | None
    value: Prepared | Portal | None = None
    doubt: bool = False


@dataclass(slots=True)  # not frozen, as Portal
class ExecutedStatement:
    """One execution, of the statement that runs in the end. It never changes."""

    text: str
    kind: str | None
    statement: Statement | None
    parameters: Parameters | None = None
    prepared_as: str | None = None
    through: tuple[str, ...] = ()  # the texts that led to it; the first is the client's own
    changes: tuple[Change, ...] = ()
    observed: tuple[Violation, ...] = ()
    unresolved: str | None = None  # why it may be another statement
    unread: bool = False
    inside: bool = False  # EXPLAIN or CREATE TABLE AS runs it, see `kind`

    @property
    def copies_in(self) -> bool:
        """Whether the server may ask the client for data."""
        if self.inside:
            return False
        return self.unread or (self.statement is not None and self.statement.copies_in)

    @property
    def writes(self) -> bool:
        statement = self.statement
        if statement is None:
            return self.unread
        return self.unread or bool(statement.targets) or not {self.kind, statement.kind} <= READING


DOUBT = (Change("statement", None, doubt=True), Change("portal", None, doubt=True))
"""Something ran that pgjit has not read: only the server knows what a name stands for now."""


def readable(name: bytes) -> str:
    """For a record or an error."""
    return name.decode("utf-8", "replace")


def unknown(what: str, name: bytes) -> Prepared:
    """For the record, a statement under a name that only the server knows."""
    shown = readable(name)
    return Prepared(f"-- {what} {shown!r}", None, unread=True, unresolved=f"{what} `{shown}` is not known here")


def changes_of(
    statement: Statement,
    parameters: Parameters | None = None,
    observed: tuple[Violation, ...] = (),
    judge: int = 0,
) -> tuple[Change, ...]:
    """What `statement` itself does to the names when it runs: PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD, code."""
    effect = statement.effect
    if effect is None:
        return ()
    # The statement inside changes no name when it runs: only the PREPARE or DECLARE did.
    itself = replace(statement, effect=None, kind=next(iter(statement.inner), statement.kind))
    return _changes(effect, Prepared(statement.text, itself, observed=observed, judge=judge), parameters)


def _changes(effect: NameEffect, prepared: Prepared, parameters: Parameters | None) -> tuple[Change, ...]:
    name = None if effect.name is None else effect.name.encode()
    match effect.verb:
        case "prepare":
            return (Change("statement", name, prepared),)
        case "declare":
            return (Change("portal", name, Portal(prepared, parameters, b"", hold=effect.hold)),)
        case "deallocate":
            return (Change("statement", name),)
        case "close":
            return (Change("portal", name),)
        case "discard":
            return (Change("statement", None), Change("portal", None))
        case "anything":
            return DOUBT
        case "execute" | "fetch":
            return ()
