"""A store that is open during each test, for the contracts of stores. A test file's subclass makes one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from pgjit.grants.store import Store

__all__ = ["OpenedStore"]


class OpenedStore:
    @pytest.fixture
    def make(self) -> Callable[[], Store]:
        """A function whose every call gives another store on the same data. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, make: Callable[[], Store]) -> AsyncIterator[Store]:
        store = make()
        await store.open()
        yield store
        await store.close()
