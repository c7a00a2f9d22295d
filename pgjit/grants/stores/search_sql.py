"""The searches that people saved, in an SQL store: each method is one transaction of a work function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import sqlalchemy as sa

from pgjit.grants.saved_search import SavedSearch
from pgjit.grants.stores.schema import from_micros, to_micros
from pgjit.grants.stores.search_schema import saved_searches
from pgjit.identity.identity import IdentityKey

__all__ = ["SearchSqlStore"]

T = TypeVar("T")


class SearchSqlStore:
    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def saved_searches(self, owner: IdentityKey) -> list[SavedSearch]:
        return await self._read(lambda connection: _of_owner(connection, owner))

    async def save_search(self, search: SavedSearch, *, at_most: int) -> SavedSearch | None:
        def work(connection: sa.Connection) -> SavedSearch | None:
            own = _of_owner(connection, search.owner)
            known = next((each for each in own if each.name == search.name), None)
            if known is not None:
                values = {"body": search.body, "saved_at": to_micros(search.saved_at)}
                connection.execute(sa.update(saved_searches).where(saved_searches.c.id == known.id).values(values))
                return replace(search, id=known.id)
            if len(own) >= at_most:
                return None
            connection.execute(sa.insert(saved_searches).values(_row(search)))
            return search

        return await self._transaction(work)

    async def delete_search(self, owner: IdentityKey, search_id: str) -> SavedSearch | None:
        def work(connection: sa.Connection) -> SavedSearch | None:
            known = next((each for each in _of_owner(connection, owner) if each.id == search_id), None)
            if known is not None:
                connection.execute(sa.delete(saved_searches).where(saved_searches.c.id == known.id))
            return known

        return await self._transaction(work)


def _of_owner(connection: sa.Connection, owner: IdentityKey) -> list[SavedSearch]:
    own = saved_searches.c.tid == owner.tid, saved_searches.c.oid == owner.oid
    rows = connection.execute(sa.select(saved_searches).where(*own))
    found = [
        SavedSearch(id=row.id, owner=owner, name=row.name, body=row.body, saved_at=from_micros(row.saved_at))
        for row in rows
    ]
    return sorted(found, key=lambda each: each.name)  # alike in every database, whatever its collation


def _row(search: SavedSearch) -> dict[str, object]:
    return {
        "id": search.id,
        "tid": search.owner.tid,
        "oid": search.owner.oid,
        "name": search.name,
        "body": search.body,
        "saved_at": to_micros(search.saved_at),
    }
