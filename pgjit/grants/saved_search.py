"""A search in the audit that a person saved, and the contract of the store that keeps it.

Decides that a search belongs to one person, under a name that the person has once. What is searched for is decided
by the HTTP API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgjit.identity.identity import IdentityKey

__all__ = ["SavedSearch", "SearchStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """`body`: what is searched for, as JSON that the HTTP API wrote."""

    id: str
    owner: IdentityKey
    name: str
    body: str
    saved_at: datetime


class SearchStore(Protocol):
    """Each method raises ServerUnavailable when the store cannot be used."""

    async def saved_searches(self, owner: IdentityKey) -> list[SavedSearch]:
        """Those of a person, by name."""

    async def save_search(self, search: SavedSearch, *, at_most: int) -> SavedSearch | None:
        """Keep it, in place of the owner's search of the same name, which keeps its id.

        None, and nothing is kept, if the owner would have more than `at_most`.
        """

    async def delete_search(self, owner: IdentityKey, search_id: str) -> SavedSearch | None:
        """Delete it, and return what it was; None if the owner has none of this id."""
