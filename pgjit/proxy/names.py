"""The session's names: prepared statements and portals, shared by the wire protocol and SQL.

Decides what a name stands for at each moment. Two views are kept: what the server has confirmed, and what
will hold when everything sent so far succeeds; an error falls back to the first. While a change is under way that
may yet fail without what is sent next being passed over, nobody can say: the name is unsettled. Knows no socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from pgjit.audit.event import Parameters
from pgjit.policy.decision import Violation
from pgjit.sql.statement import NameEffect, Statement

__all__ = ["MOST", "Change", "Names", "Portal", "Prepared", "Space", "Unit", "changes_of", "unknown"]

Space = Literal["statement", "portal"]

_MAX_NAME = 63
MOST = 10_000
"""Names that a session may hold: an error copies what is known of them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that was judged when it was parsed; None where the text was empty or, `unread`, not parsed."""

    text: str
    statement: Statement | None
    unread: bool = False
    observed: tuple[Violation, ...] = ()  # what would have refused it, were the policy enforced


@dataclass(frozen=True, slots=True)
class Portal:
    prepared: Prepared
    parameters: Parameters | None
    statement_name: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the names. Without a `value` the name is dropped; without a `name`, all are."""

    space: Space
    name: bytes | None
    value: Prepared | Portal | None = None


@dataclass(slots=True)
class _View:
    """Kept by the names that the server keeps them by: see `_key`."""

    statements: dict[bytes, Prepared] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)

    def apply(self, change: Change) -> None:
        # Four times for every Query: plain tests cost a fraction of what matching patterns does.
        kept: dict[bytes, Any] = self.statements if change.space == "statement" else self.portals
        if change.name is None:
            kept.clear()
        elif change.value is None:
            kept.pop(_key(change.name), None)
        else:
            kept[_key(change.name)] = change.value


def _key(name: bytes) -> bytes:
    """The server tells names apart by their first 63 bytes (NAMEDATALEN): so must who records what they stand for."""
    return name[:_MAX_NAME]


class Unit(Protocol):
    """What was sent and makes a change: a later error passes over all of its `segment`, and of no other."""

    @property
    def segment(self) -> int: ...

    @property
    def answered(self) -> bool: ...


class Names:
    def __init__(self) -> None:
        self._confirmed = _View()
        self._expected = _View()
        # What changed each name last (None: all of them), numbered in the order of sending.
        self._last: dict[tuple[str, bytes | None], tuple[int, Unit]] = {}
        self._count = 0

    def statement(self, name: bytes) -> Prepared | None:
        return self._expected.statements.get(_key(name))

    def portal(self, name: bytes) -> Portal | None:
        return self._expected.portals.get(_key(name))

    @property
    def full(self) -> bool:
        """There is no room for more names."""
        return len(self._expected.statements) + len(self._expected.portals) >= MOST

    def unsettled(self, space: Space, name: bytes, segment: int) -> Unit | None:
        """The change of `name` that is under way in another segment: if it fails, `segment` goes on all the same.

        A change in the same one settles the name, whatever came before: if it fails, what follows is passed over.
        """
        changes = [change for key in (_key(name), None) if (change := self._last.get((space, key)))]
        if not changes:
            return None
        _, last = max(changes, key=lambda change: change[0])
        return None if last.answered or last.segment == segment else last

    def expect(self, changes: Iterable[Change], by: Unit) -> None:
        """`by` was sent, and makes `changes` if it succeeds."""
        for change in changes:
            self._expected.apply(change)
            self._count += 1
            self._last[change.space, None if change.name is None else _key(change.name)] = self._count, by
        if len(self._last) > 2 * MOST:
            self._last = {key: last for key, last in self._last.items() if not last[1].answered}

    def confirm(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._confirmed.apply(change)

    def fall_back(self, still_expected: Iterable[Change]) -> None:
        """An error: what was expected of the failed batch will not come, what was sent after it still may."""
        self._expected = _View(dict(self._confirmed.statements), dict(self._confirmed.portals))
        for change in still_expected:
            self._expected.apply(change)


def unknown(what: str, name: bytes) -> Prepared:
    """What stands on record for a name that only the server knows."""
    return Prepared(f"-- {what} {name.decode('utf-8', 'replace')!r}", None, unread=True)


def changes_of(statement: Statement, parameters: Parameters | None = None) -> tuple[Change, ...]:
    """What running `statement` does to the names (PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD)."""
    effect = statement.effect
    if effect is None:
        return ()
    return _changes(effect, statement, parameters)


def _changes(effect: NameEffect, statement: Statement, parameters: Parameters | None) -> tuple[Change, ...]:
    name = None if effect.name is None else effect.name.encode()
    # What is prepared or declared changes no name when it runs: only the PREPARE or DECLARE itself did.
    prepared = Prepared(
        statement.text, replace(statement, effect=None, kind=next(iter(statement.inner), statement.kind))
    )
    match effect.verb:
        case "prepare":
            return (Change("statement", name, prepared),)
        case "declare":
            return (Change("portal", name, Portal(prepared, parameters, b"")),)
        case "deallocate":
            return (Change("statement", name),)
        case "close":
            return (Change("portal", name),)
        case "discard":
            return (Change("statement", None), Change("portal", None))
        case "execute" | "fetch":
            return ()
