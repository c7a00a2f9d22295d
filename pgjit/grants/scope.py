"""What a revocation or a lock applies to: one window, an identity, a policy, a connection, or everything. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey

__all__ = ["Scope", "ScopeKind"]


class ScopeKind(StrEnum):
    WINDOW = "window"
    IDENTITY = "identity"
    POLICY = "policy"
    CONNECTION = "connection"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """`target`: a window's id, `TENANT/OBJECT`, or the name of a policy or connection; None for everything."""

    kind: ScopeKind
    target: str | None = None

    def __post_init__(self) -> None:
        if (self.kind is ScopeKind.ALL) != (not self.target):
            raise ValueError("a scope names its target, unless it is everything")

    @classmethod
    def of_identity(cls, key: IdentityKey) -> Scope:
        return cls(ScopeKind.IDENTITY, key.text)

    def covers(
        self, identity: IdentityKey, policy: str, connection: str, programs: frozenset[IdentityKey] = frozenset()
    ) -> bool:
        """Whether access of `identity` under `policy` to `connection` is in the scope. A window is not access.

        `programs`: the app or agent that acts for the identity, and its blueprint. A scope may name one of them.
        """
        if self.kind is ScopeKind.IDENTITY:
            return self.target in {key.text for key in (identity, *programs)}
        names = {
            ScopeKind.ALL: None,
            ScopeKind.POLICY: policy,
            ScopeKind.CONNECTION: connection,
        }
        return self.kind in names and names[self.kind] == self.target

    def covers_window(self, window: Window) -> bool:
        if self.kind is ScopeKind.WINDOW:
            return self.target == window.id
        return self.covers(window.identity, window.policy, window.connection, window.programs)

    def __str__(self) -> str:
        return self.kind.value if self.target is None else f"{self.kind.value} `{self.target}`"
