"""What every store must do with sign-ins to the console. Subclassed as StoreContract is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from pgjit.grants.sign_in import KeptSignIn
from pgjit.grants.store import Store
from tests.contracts.opened_store import OpenedStore
from tests.contracts.store import ALICE, NOW
from tests.grants.review_cast import CAROL, MINUTE

__all__ = ["SignInStoreContract"]


def _sign_in(name: str, **changes: object) -> KeptSignIn:
    kept = KeptSignIn(
        id=name, identity=ALICE, opened_at=NOW, seen_at=NOW, ends_at=NOW + timedelta(hours=10), sealed=f"of {name}"
    )
    return replace(kept, **changes)  # type: ignore[arg-type]


class SignInStoreContract(OpenedStore):
    async def test_a_sign_in_is_found_by_its_id_alone(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("a"), at_most=20)
        assert await store.sign_in("a") == _sign_in("a")
        assert await store.sign_in("A") is None
        assert await store.sign_in("") is None

    async def test_another_worker_finds_it_and_it_outlives_the_store_object(
        self, store: Store, make: Callable[[], Store]
    ) -> None:
        await store.keep_sign_in(_sign_in("a"), at_most=20)
        if not store.shared:
            await store.close()
        other = make()
        await other.open()
        assert await other.sign_in("a") == _sign_in("a")
        await other.close()

    async def test_a_use_is_noted_and_never_an_earlier_one(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("a"), at_most=20)
        for at in (NOW + 5 * MINUTE, NOW + MINUTE):
            await store.note_sign_in_use("a", at)
        assert await store.sign_in("a") == _sign_in("a", seen_at=NOW + 5 * MINUTE)

    async def test_one_caller_at_a_time_renews_the_tokens(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("a"), at_most=20)
        assert await store.claim_sign_in_renewal("a", NOW, NOW + MINUTE)
        assert not await store.claim_sign_in_renewal("a", NOW + MINUTE / 2, NOW + 2 * MINUTE)
        await store.replace_sign_in_tokens("a", "newer")
        assert await store.sign_in("a") == _sign_in("a", sealed="newer")
        assert await store.claim_sign_in_renewal("a", NOW, NOW + MINUTE)
        assert await store.claim_sign_in_renewal("a", NOW + MINUTE, NOW + 2 * MINUTE)  # that caller has died
        assert not await store.claim_sign_in_renewal("none", NOW, NOW + MINUTE)

    async def test_an_ended_one_is_gone(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("a"), at_most=20)
        assert await store.end_sign_in("a")
        assert not await store.end_sign_in("a")
        assert await store.sign_in("a") is None
        await store.note_sign_in_use("a", NOW)
        await store.replace_sign_in_tokens("a", "x")
        assert await store.sign_in("a") is None

    async def test_each_identity_has_so_many_and_the_oldest_go_first(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("of carol", identity=CAROL), at_most=2)
        for index in range(4):
            await store.keep_sign_in(_sign_in(f"{index}", opened_at=NOW + index * MINUTE), at_most=2)
        found = [name for name in ("0", "1", "2", "3", "of carol") if await store.sign_in(name) is not None]
        assert found == ["2", "3", "of carol"]

    async def test_those_whose_time_is_over_are_deleted(self, store: Store) -> None:
        await store.keep_sign_in(_sign_in("a", ends_at=NOW + MINUTE), at_most=20)
        await store.keep_sign_in(_sign_in("b", opened_at=NOW + 2 * MINUTE), at_most=20)
        assert await store.sign_in("a") is None
        assert await store.sign_in("b") is not None
