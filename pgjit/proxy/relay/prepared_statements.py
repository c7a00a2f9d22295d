"""The session's prepared statements and portals. Messages of the protocol and SQL share their names.

Decides what a name stands for at each moment. Two views are kept: what the server has confirmed, and what will hold
if everything that was sent succeeds. An error falls back to the first. A name is unsettled while a change of it is
under way that may fail although the next message runs. Does not know what runs by a name: `executed_statement.py`
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from pgjit.audit.event import Parameters
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.kinds import READING
from pgjit.proxy.relay.parameter_types import ParameterTypes
from pgjit.sql.encodings import key_of
from pgjit.sql.statement import NameEffect, Statement

__all__ = [
    "DOUBT",
    "MOST",
    "MOST_BYTES",
    "Change",
    "ExecutedStatement",
    "Portal",
    "Prepared",
    "PreparedStatements",
    "Space",
    "Trial",
    "Unit",
    "changes_of",
    "readable",
    "unknown",
]

Space = Literal["statement", "portal"]

MOST = 10_000
MOST_BYTES = 32 * 1024 * 1024
"""How many names a session may hold, for each error copies them, and how many bytes of what they stand for."""

_OVERHEAD = 2048
_NAMED = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that was judged when it was prepared. It is None for an empty text, and for an `unread` one."""

    text: str
    statement: Statement | None
    unread: bool = False
    observed: tuple[Violation, ...] = ()  # what would refuse it if the policy were enforced
    doubtful: bool = False  # something ran since that may have changed what the name stands for
    unresolved: str | None = None  # why pgjit does not know what it is
    judge: int = 0  # the number of the judge, and so of the catalog, that allowed it
    own: bool = False  # pgjit itself answers it
    types: ParameterTypes = field(default_factory=ParameterTypes, compare=False)

    @classmethod
    def of(cls, judgement: Judgement, types: Sequence[int] = ()) -> Prepared:
        """`types`: as the Parse has them."""
        statement = judgement.statements[0] if judgement.statements else None
        own = judgement.pgjit_setting is not None
        number = judgement.judge_number
        prepared = cls(judgement.text, statement, judgement.unread, judgement.observed, judge=number, own=own)
        prepared.types.note(types)
        return prepared

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        facts = self.statement
        named = 0 if facts is None else len(facts.relations) + len(facts.functions) + len(facts.types)
        return _OVERHEAD + 2 * len(self.text) + _NAMED * named


@dataclass(frozen=True, slots=True)
class Portal:
    prepared: Prepared
    parameters: Parameters | None
    statement_name: bytes
    hold: bool = False  # it outlives its transaction
    began: ExecutedStatement | None = None  # the statement that it runs by a name: fixed when it begins
    doubtful: bool = False

    @property
    def size(self) -> int:
        """The statement counts as well: this portal may be all that still holds it."""
        size = _OVERHEAD + self.prepared.size
        if self.parameters is not None:
            for value in self.parameters.values:
                size += len(value) if value else 0
        return size


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one name, or of all where `name` is None. Without a `value` they are dropped.

    In `doubt` no name is dropped, and pgjit does not know any more what they stand for.
    """

    space: Space
    name: bytes | None
    value: Prepared | Portal | None = None
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class ExecutedStatement:
    """One execution, of the statement that runs in the end."""

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


@dataclass(slots=True)
class _View:
    """What each name stands for. The keys are the names as the server cuts and converts them."""

    statements: dict[bytes, Prepared] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)
    held: dict[bytes, Portal] = field(default_factory=dict)  # those that outlive their transaction
    size: int = 0

    def apply(self, change: Change, key: bytes | None) -> None:
        # This runs four times for every Query, and plain tests cost a fraction of pattern matching.
        if key is None:
            self._all(change)
        elif change.space == "statement":
            self._forget(self.statements.pop(key, None))
            if isinstance(change.value, Prepared):
                self.statements[key] = change.value
        else:
            self._forget(self.portals.pop(key, None))
            self._forget(self.held.pop(key, None))
            if isinstance(change.value, Portal):
                (self.held if change.value.hold else self.portals)[key] = change.value
        if change.value is not None:
            self.size += change.value.size

    def _forget(self, value: Prepared | Portal | None) -> None:
        if value is not None:
            self.size -= value.size

    def drop(self, key: bytes) -> None:
        """The portal of that name has ended with its transaction."""
        self._forget(self.portals.pop(key, None))

    def _all(self, change: Change) -> None:
        if change.space == "statement":
            unnamed = self.statements.pop(b"", None)  # SQL cannot change it
            self.statements = _doubted(self.statements) if change.doubt else {}
            if unnamed is not None:
                self.statements[b""] = unnamed
        elif change.doubt:
            self.portals, self.held = _doubted(self.portals), _doubted(self.held)
        else:
            self.portals, self.held = {}, {}
        kept = (self.statements, self.portals, self.held)
        self.size = sum(value.size for values in kept for value in values.values())

    def portal(self, key: bytes) -> Portal | None:
        return self.portals.get(key) or self.held.get(key)

    def copy(self) -> _View:
        return _View(dict(self.statements), dict(self.portals), dict(self.held), self.size)

    def __len__(self) -> int:
        return len(self.statements) + len(self.portals) + len(self.held)


_Named = TypeVar("_Named", Prepared, Portal)


def _doubted(known: dict[bytes, _Named]) -> dict[bytes, _Named]:
    return {
        key: value if value.doubtful or not key else replace(value, doubtful=True) for key, value in known.items()
    }


class Unit(Protocol):
    """A request that changes a name. An error passes over the rest of its `segment`, and of no other."""

    @property
    def segment(self) -> int: ...

    @property
    def answered(self) -> bool: ...


class PreparedStatements:
    def __init__(self, encoding: str = "UTF8") -> None:
        """`encoding`: the server's. The first 63 bytes of a name in this encoding count (NAMEDATALEN)."""
        self.encoding = encoding
        self._confirmed = _View()
        self._expected = _View()
        # The latest change of each name (None: of all names), numbered in the order of sending.
        self._last: dict[tuple[str, bytes | None], tuple[int, Unit]] = {}
        self._count = 0

    def is_certain(self, name: bytes) -> bool:
        """Whether pgjit knows which name this is to the server."""
        return key_of(name, self.encoding) is not None

    def key(self, name: bytes) -> bytes:
        return key_of(name, self.encoding) or name

    def statement(self, name: bytes) -> Prepared | None:
        key = key_of(name, self.encoding)
        return None if key is None else self._expected.statements.get(key)

    def portal(self, name: bytes) -> Portal | None:
        key = key_of(name, self.encoding)
        return None if key is None else self._expected.portal(key)

    @property
    def full(self) -> bool:
        """There is no room for more names."""
        return len(self._expected) >= MOST or self._expected.size >= MOST_BYTES

    def unsettled(self, space: Space, name: bytes, segment: int) -> Unit | None:
        """The change of `name` under way in another segment, if any: if it fails, `segment` runs all the same.

        A change in the same segment settles the name: if it fails, what follows is passed over.
        """
        changes = [change for key in (self.key(name), None) if (change := self._last.get((space, key)))]
        if not changes:
            return None
        _, last = max(changes, key=lambda change: change[0])
        return None if last.segment == segment or last.answered else last

    def expect(self, changes: Iterable[Change], by: Unit) -> None:
        """The request `by` was sent, and makes `changes` if it succeeds."""
        for change in changes:
            key = None if change.name is None else self.key(change.name)
            self._expected.apply(change, key)
            self._count += 1
            self._last[change.space, key] = self._count, by
        if len(self._last) > 2 * MOST:
            self._last = {key: last for key, last in self._last.items() if not last[1].answered}

    def confirm(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._confirmed.apply(change, None if change.name is None else self.key(change.name))

    def fall_back(self, still_expected: Iterable[Change]) -> None:
        """After an error: the changes of the failed requests will not come, those of later requests may."""
        self._expected = self._confirmed.copy()
        for change in still_expected:
            self._expected.apply(change, None if change.name is None else self.key(change.name))

    def transaction_over(self) -> None:
        """The transaction is over, and its portals with it. Those WITH HOLD are left."""
        for key, portal in list(self._confirmed.portals.items()):
            if self._expected.portals.get(key) is portal:
                self._expected.drop(key)
            self._confirmed.drop(key)

    def clear(self) -> None:
        """The session is over: let go of everything."""
        self._confirmed, self._expected, self._last = _View(), _View(), {}

    @property
    def size(self) -> int:
        """About how many bytes the names hold."""
        return max(self._confirmed.size, self._expected.size)


class Trial:
    """The names as they are between the statements of one message, before the message is sent."""

    def __init__(self, names: PreparedStatements) -> None:
        self._names = names
        self._made: dict[tuple[Space, bytes], Prepared | Portal | None] = {}
        self._all: dict[Space, Change] = {}

    def statement(self, name: bytes) -> Prepared | None:
        value = self._find("statement", name)
        return value if isinstance(value, Prepared) else None

    def portal(self, name: bytes) -> Portal | None:
        value = self._find("portal", name)
        return value if isinstance(value, Portal) else None

    def settles(self, space: Space, name: bytes) -> bool:
        return space in self._all or (space, self._names.key(name)) in self._made

    def _find(self, space: Space, name: bytes) -> Prepared | Portal | None:
        key = space, self._names.key(name)
        if key in self._made:
            return self._made[key]
        known = self._names.statement(name) if space == "statement" else self._names.portal(name)
        change = self._all.get(space)
        if change is None or known is None:
            return known
        return replace(known, doubtful=True) if change.doubt else None

    def expect(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.name is not None:
                self._made[change.space, self._names.key(change.name)] = change.value
                continue
            mine = [key for key in self._made if key[0] == change.space]
            for key in mine:
                made = self._made.pop(key)
                if change.doubt:
                    self._made[key] = None if made is None else replace(made, doubtful=True)
            dropped = self._all.get(change.space)
            if dropped is None or dropped.doubt:
                self._all[change.space] = change


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
