"""What each name of the session stands for at one moment: as the server has confirmed it, or as it is expected.

The unnamed statement and the unnamed portal are kept apart from the named ones: every Query drops both, and most
Binds make the portal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from pgjit.proxy.relay.named_values import Change, Portal, Prepared

__all__ = ["NameView"]

_Named = TypeVar("_Named", Prepared, Portal)


@dataclass(slots=True)
class NameView:
    """The keys are the names as the server cuts and converts them."""

    statements: dict[bytes, Prepared] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)
    held: dict[bytes, Portal] = field(default_factory=dict)  # those that outlive their transaction
    unnamed_statement: Prepared | None = None
    unnamed_portal: Portal | None = None
    named_size: int = 0  # of those that have a name

    def statement(self, key: bytes) -> Prepared | None:
        return self.statements.get(key) if key else self.unnamed_statement

    def portal(self, key: bytes) -> Portal | None:
        return self.portals.get(key) or self.held.get(key) if key else self.unnamed_portal

    def apply(self, change: Change, key: bytes | None) -> None:
        # This runs four times for every Query, and plain tests cost a fraction of pattern matching.
        space, _, value, _ = change
        if key == b"":
            if space == "statement":
                self.unnamed_statement = value if isinstance(value, Prepared) else None
            else:
                self.unnamed_portal = value if isinstance(value, Portal) else None
            return
        if key is None:
            self._all(change)
        elif space == "statement":
            self._forget(self.statements.pop(key, None))
            if isinstance(value, Prepared):
                self.statements[key] = value
        else:
            self._forget(self.portals.pop(key, None))
            self._forget(self.held.pop(key, None))
            if isinstance(value, Portal):
                (self.held if value.hold else self.portals)[key] = value
        if value is not None:
            self.named_size += value.size

    def _forget(self, value: Prepared | Portal | None) -> None:
        if value is not None:
            self.named_size -= value.size

    def transaction_over(self, other: NameView) -> None:
        """The portals have ended with their transaction, also in `other`. Those WITH HOLD are left."""
        if (ended := self.unnamed_portal) is not None:
            self.unnamed_portal = None
            if other.unnamed_portal is ended:
                other.unnamed_portal = None
        for key, portal in list(self.portals.items()) if self.portals else ():
            if other.portals.get(key) is portal:
                other._forget(other.portals.pop(key))
            self._forget(self.portals.pop(key))

    def _all(self, change: Change) -> None:
        """SQL cannot change the unnamed statement. It can close the unnamed portal, but gives it no other meaning."""
        if change.space == "statement":
            self.statements = _doubted(self.statements) if change.doubt else {}
        elif change.doubt:
            self.portals, self.held = _doubted(self.portals), _doubted(self.held)
        else:
            self.portals, self.held, self.unnamed_portal = {}, {}, None
        kept = (self.statements, self.portals, self.held)
        self.named_size = sum(value.size for values in kept for value in values.values())

    def copy(self) -> NameView:
        return NameView(
            dict(self.statements), dict(self.portals), dict(self.held),
            self.unnamed_statement, self.unnamed_portal, self.named_size,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        unnamed = (self.unnamed_statement, self.unnamed_portal)
        return self.named_size + sum(value.size for value in unnamed if value is not None)

    def __len__(self) -> int:
        unnamed = (self.unnamed_statement is not None) + (self.unnamed_portal is not None)
        return len(self.statements) + len(self.portals) + len(self.held) + unnamed


def _doubted(known: dict[bytes, _Named]) -> dict[bytes, _Named]:
    return {key: value if value.doubtful else replace(value, doubtful=True) for key, value in known.items()}
