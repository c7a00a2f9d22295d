"""The session's names: prepared statements and portals, shared by the wire protocol and SQL.

Decides what a name stands for at each moment. Two views are kept: what the server has confirmed, and what
will hold when everything sent so far succeeds; an error falls back to the first. Knows no socket and no SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pgjit.audit.event import Parameters
from pgjit.sql.statement import NameEffect, Statement

__all__ = ["Change", "Names", "Portal", "Prepared", "changes_of"]

_MAX_NAME = 63


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that was judged when it was parsed; None where the text was empty or, `unread`, not parsed."""

    text: str
    statement: Statement | None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Portal:
    prepared: Prepared
    parameters: Parameters | None
    statement_name: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the names. Without a `value` the name is dropped; without a `name`, all are."""

    space: Literal["statement", "portal"]
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


class Names:
    def __init__(self) -> None:
        self._confirmed = _View()
        self._expected = _View()

    def statement(self, name: bytes) -> Prepared | None:
        return self._expected.statements.get(_key(name))

    def portal(self, name: bytes) -> Portal | None:
        return self._expected.portals.get(_key(name))

    def expect(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._expected.apply(change)

    def confirm(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._confirmed.apply(change)

    def fall_back(self, still_expected: Iterable[Change]) -> None:
        """An error: what was expected of the failed batch will not come, what was sent after it still may."""
        self._expected = _View(dict(self._confirmed.statements), dict(self._confirmed.portals))
        self.expect(still_expected)


def changes_of(statement: Statement, parameters: Parameters | None = None) -> tuple[Change, ...]:
    """What running `statement` does to the names (PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD)."""
    effect = statement.effect
    if effect is None:
        return ()
    return _changes(effect, statement, parameters)


def _changes(effect: NameEffect, statement: Statement, parameters: Parameters | None) -> tuple[Change, ...]:
    name = None if effect.name is None else effect.name.encode()
    prepared = Prepared(statement.text, statement)
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
