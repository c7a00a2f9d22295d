"""What a store does with searches that people save. A test file subclasses SearchStoreContract."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from pgjit.grants.saved_search import SavedSearch
from pgjit.grants.store import Store
from pgjit.identity.identity import IdentityKey
from tests.contracts.opened_store import OpenedStore
from tests.contracts.store import ALICE, BOB, NOW

__all__ = ["SearchStoreContract"]


def search(name: str, owner: IdentityKey = ALICE, body: str = '{"query": "SELECT 1"}') -> SavedSearch:
    return SavedSearch(id=f"q_{owner.oid[0]}_{name}", owner=owner, name=name, body=body, saved_at=NOW)


class SearchStoreContract(OpenedStore):
    async def test_each_person_has_the_own_ones_by_name(self, store: Store) -> None:
        kept = [search("Zoo"), search("apes"), search("apes", BOB)]
        for each in kept:
            assert await store.save_search(each, at_most=9) == each
        assert await store.saved_searches(ALICE) == [kept[0], kept[1]]
        assert await store.saved_searches(BOB) == [kept[2]]

    async def test_one_of_the_same_name_keeps_its_id(self, store: Store) -> None:
        first = search("x")
        await store.save_search(first, at_most=1)
        second = replace(first, id="q_other", body='{"query": "SELECT 2"}', saved_at=NOW + timedelta(hours=1))
        assert await store.save_search(second, at_most=1) == replace(second, id=first.id)
        assert await store.saved_searches(ALICE) == [replace(second, id=first.id)]

    async def test_no_more_than_so_many_are_kept(self, store: Store) -> None:
        await store.save_search(search("a"), at_most=2)
        await store.save_search(search("b"), at_most=2)
        assert await store.save_search(search("c"), at_most=2) is None
        assert await store.save_search(search("c", BOB), at_most=2) is not None
        assert [each.name for each in await store.saved_searches(ALICE)] == ["a", "b"]

    async def test_two_at_once_are_one(self, store: Store) -> None:
        both = [replace(search("x"), id=f"q_{number}") for number in range(8)]
        kept = await asyncio.gather(*(store.save_search(each, at_most=9) for each in both))
        assert len({each.id for each in kept if each is not None}) == 1
        assert len(await store.saved_searches(ALICE)) == 1

    async def test_nobody_deletes_those_of_others(self, store: Store) -> None:
        mine = search("x")
        await store.save_search(mine, at_most=9)
        assert await store.delete_search(BOB, mine.id) is None
        assert await store.delete_search(ALICE, mine.id) == mine
        assert await store.delete_search(ALICE, mine.id) is None
        assert await store.saved_searches(ALICE) == []
