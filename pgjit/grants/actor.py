"""The person or program that made a change: a value for the store and the journal. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.identity.identity import IdentityKey

__all__ = ["Actor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`display` is shown to people and never compared. `via`: how it came, such as `api`, `login`, `slack`."""

    key: IdentityKey
    display: str
    via: str
