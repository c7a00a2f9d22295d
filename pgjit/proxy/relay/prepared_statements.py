"""The session's names: prepared statements and portals, shared by the wire protocol and SQL.

Decides what a name stands for at each moment. Two views are kept: what the server has confirmed, and what
will hold when everything sent so far succeeds; an error falls back to the first. While a change is under way that
may yet fail without what is sent next being passed over, nobody can say: the name is unsettled. Knows no socket, and
not what runs by a name (`executed_statement.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from pgjit.audit.event import Parameters
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.kinds import READING
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
"""Names that a session may hold, for an error copies what is known of them; and bytes of what they stand for."""

_OVERHEAD = 1024
_NAMED = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that was judged when it was parsed; None where the text was empty or, `unread`, not parsed."""

    text: str
    statement: Statement | None
    unread: bool = False
    observed: tuple[Violation, ...] = ()  # what would have refused it, were the policy enforced
    doubtful: bool = False  # it stood under its name once; since then something ran that may have changed that
    unresolved: str | None = None  # why nobody here knows what it is
    judge: int = 0  # which one allowed it: with the catalog of that time

    @classmethod
    def of(cls, judgement: Judgement) -> Prepared:
        statement = judgement.statements[0] if judgement.statements else None
        return cls(judgement.text, statement, judgement.unread, judgement.observed, judge=judgement.judge_number)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        facts = self.statement
        named = 0 if facts is None else len(facts.relations) + len(facts.functions) + len(facts.types)
        return _OVERHEAD + 2 * len(self.text) + _NAMED * named


@dataclass(frozen=True, slots=True)
class Portal:
    prepared: Prepared
    parameters: Parameters | None
    statement_name: bytes
    hold: bool = False  # it outlives its transaction
    began: ExecutedStatement | None = None  # what it runs by a name of its own: settled when it begins to
    doubtful: bool = False

    @property
    def size(self) -> int:
        """What it runs counts as well: it may be all that is left of that."""
        values = () if self.parameters is None else self.parameters.values
        return _OVERHEAD + self.prepared.size + sum(len(value) for value in values if value)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the names. Without a `value` the name is dropped; without a `name`, all are.

    In `doubt` none is dropped, and nobody can say what they stand for.
    """

    space: Space
    name: bytes | None
    value: Prepared | Portal | None = None
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class ExecutedStatement:
    """One execution, as what it is."""

    text: str
    kind: str | None
    statement: Statement | None
    parameters: Parameters | None = None
    prepared_as: str | None = None
    through: tuple[str, ...] = ()  # the texts that led to it, beginning with the client's own
    changes: tuple[Change, ...] = ()
    observed: tuple[Violation, ...] = ()
    unresolved: str | None = None  # why nobody can say that it is this
    unread: bool = False
    inside: bool = False  # EXPLAIN or CREATE TABLE AS, which `kind` tells, runs it

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
"""Something ran that nobody has read: what any name stands for now, the server knows."""


@dataclass(slots=True)
class _View:
    """Kept by the names that the server keeps them by."""

    statements: dict[bytes, Prepared] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)
    held: dict[bytes, Portal] = field(default_factory=dict)  # those that outlive their transaction
    size: int = 0

    def apply(self, change: Change, key: bytes | None) -> None:
        # Four times for every Query: plain tests cost a fraction of what matching patterns does.
        if key is None:
            self._all(change)
        elif change.space == "statement":
            self._forget(self.statements.pop(key, None))
            if isinstance(change.value, Prepared):
                self.statements[key] = change.value
        else:
            self._forget(self.portals.pop(key, None), self.held.pop(key, None))
            if isinstance(change.value, Portal):
                (self.held if change.value.hold else self.portals)[key] = change.value
        if change.value is not None:
            self.size += change.value.size

    def _forget(self, *values: Prepared | Portal | None) -> None:
        self.size -= sum(value.size for value in values if value is not None)

    def drop(self, key: bytes) -> None:
        """The portal of that name, which is no more."""
        self._forget(self.portals.pop(key, None))

    def _all(self, change: Change) -> None:
        if change.space == "statement":
            unnamed = self.statements.pop(b"", None)  # of which SQL knows nothing
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
    """What was sent and makes a change: a later error passes over all of its `segment`, and of no other."""

    @property
    def segment(self) -> int: ...

    @property
    def answered(self) -> bool: ...


class PreparedStatements:
    def __init__(self, encoding: str = "UTF8") -> None:
        """`encoding`: the server's. It tells names apart by their first 63 bytes in that (NAMEDATALEN)."""
        self.encoding = encoding
        self._confirmed = _View()
        self._expected = _View()
        # What changed each name last (None: all of them), numbered in the order of sending.
        self._last: dict[tuple[str, bytes | None], tuple[int, Unit]] = {}
        self._count = 0

    def is_certain(self, name: bytes) -> bool:
        """Whether it is known which name this is to the server."""
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
        """The change of `name` that is under way in another segment: if it fails, `segment` goes on all the same.

        A change in the same one settles the name, whatever came before: if it fails, what follows is passed over.
        """
        changes = [change for key in (self.key(name), None) if (change := self._last.get((space, key)))]
        if not changes:
            return None
        _, last = max(changes, key=lambda change: change[0])
        return None if last.answered or last.segment == segment else last

    def expect(self, changes: Iterable[Change], by: Unit) -> None:
        """`by` was sent, and makes `changes` if it succeeds."""
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
        """An error: what was expected of the failed batch will not come, what was sent after it still may."""
        self._expected = self._confirmed.copy()
        for change in still_expected:
            self._expected.apply(change, None if change.name is None else self.key(change.name))

    def transaction_over(self) -> None:
        """The server has none open: of the portals that it had, those WITH HOLD are left."""
        for key, portal in list(self._confirmed.portals.items()):
            if self._expected.portals.get(key) is portal:
                self._expected.drop(key)
            self._confirmed.drop(key)

    def clear(self) -> None:
        """The session is over: nothing of it is held any longer."""
        self._confirmed, self._expected, self._last = _View(), _View(), {}

    @property
    def size(self) -> int:
        """Bytes of what is held under names, about."""
        return max(self._confirmed.size, self._expected.size)


class Trial:
    """The names as they will be within a message of several statements, before anything of it is expected."""

    def __init__(self, names: PreparedStatements) -> None:
        self._names = names
        self._made: dict[tuple[Space, bytes], Prepared | Portal | None] = {}
        self._all: dict[Space, Change] = {}

    def statement(self, name: bytes) -> Prepared | None:
        found = self._find("statement", name)
        return found if isinstance(found, Prepared) else None

    def portal(self, name: bytes) -> Portal | None:
        found = self._find("portal", name)
        return found if isinstance(found, Portal) else None

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
    """What stands on record for a name that only the server knows."""
    shown = readable(name)
    return Prepared(f"-- {what} {shown!r}", None, unread=True, unresolved=f"{what} `{shown}` is not known here")


def changes_of(
    statement: Statement,
    parameters: Parameters | None = None,
    observed: tuple[Violation, ...] = (),
    judge: int = 0,
) -> tuple[Change, ...]:
    """What running `statement` itself does to the names (PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD, code)."""
    effect = statement.effect
    if effect is None:
        return ()
    # What is prepared or declared changes no name when it runs: only the PREPARE or DECLARE itself did.
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
