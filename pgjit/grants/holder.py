"""Who asks for access or has it: a person, or a program with the app, blueprint and user of its token. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pgjit.identity.identity import Identity, IdentityKey, IdentityKind

__all__ = ["Holder", "HolderKey"]


class HolderKey(NamedTuple):
    """The holder of windows, requests and quotas: an agent that acts for a person has its own, not the person's."""

    identity: IdentityKey
    program: str | None = None  # client id of the agent that acts for the identity

    @classmethod
    def of(cls, identity: Identity) -> HolderKey:
        return cls(identity.key, identity.app_id if identity.on_behalf_of else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Two holders are the same if they are equal.

    An agent that acts for a person has that person's key; its holder tells them apart. A person may use any client:
    of a person nothing but the kind is kept.
    """

    kind: IdentityKind
    app_id: str | None = None
    blueprint_id: str | None = None
    on_behalf_of: str | None = None

    @classmethod
    def of(cls, identity: Identity) -> Holder:
        if identity.principals == {IdentityKind.USER} and identity.blueprint_id is None:
            return cls(kind=IdentityKind.USER)
        return cls(
            kind=identity.kind,
            app_id=identity.app_id,
            blueprint_id=identity.blueprint_id,
            on_behalf_of=identity.on_behalf_of,
        )

    def programs(self, tid: str) -> frozenset[IdentityKey]:
        """The app or agent that acts, and its blueprint; of a person none."""
        return frozenset(IdentityKey(tid, oid) for oid in (self.app_id, self.blueprint_id) if oid is not None)

    def text(self, display: str) -> str:
        """For people. `display` is the name of the identity: of the person, if an agent acts for one."""
        return display if self.on_behalf_of is None else f"agent {self.app_id} on behalf of {display}"

    @property
    def acting(self) -> str | None:
        """The agent that acts for a person, by its client id; None where nobody acts for anybody."""
        return None if self.on_behalf_of is None else self.app_id

    @property
    def is_person(self) -> bool:
        """Whether no program is involved."""
        return self == Holder(kind=IdentityKind.USER)
