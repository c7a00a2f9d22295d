"""A key carries a call out once. It is its caller's own, and it is for one call."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.api.idempotency import IdempotencyKeys, Reply, read_key
from pgjit.api.refusals import CallRefused, InvalidCall
from pgjit.errors import AccessRefused, ServerUnavailable
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import IdentityKey

ANN, BOB = (HolderKey(IdentityKey("t", name), None) for name in ("ann", "bob"))


class Counting:
    def __init__(self, error: Exception | None = None) -> None:
        self.times = 0
        self.error = error

    async def __call__(self) -> Reply:
        self.times += 1
        if self.error is not None:
            raise self.error
        return Reply(200, {"time": self.times})


class Settable:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_a_repetition_gets_the_stored_reply() -> None:
    keys, action = IdempotencyKeys(Settable()), Counting()
    replies = [await keys.run(ANN, "k", b"same", action) for _ in range(3)]
    assert (replies, action.times) == ([Reply(200, {"time": 1})] * 3, 1)


async def test_another_caller_with_the_same_key_makes_a_call_of_its_own() -> None:
    keys, action = IdempotencyKeys(Settable()), Counting()
    assert await keys.run(ANN, "k", b"same", action) != await keys.run(BOB, "k", b"same", action)


async def test_the_same_key_for_another_call_is_refused() -> None:
    keys, action = IdempotencyKeys(Settable()), Counting()
    await keys.run(ANN, "k", b"one", action)
    with pytest.raises(CallRefused) as refused:
        await keys.run(ANN, "k", b"two", action)
    assert (refused.value.reference, refused.value.problem()["status"], action.times) == ("key-reused", 422, 1)


async def test_a_call_that_is_under_way_is_not_begun_again() -> None:
    keys, may_end = IdempotencyKeys(Settable()), asyncio.Event()

    async def slow() -> Reply:
        await may_end.wait()
        return Reply(200, {})

    first = asyncio.create_task(keys.run(ANN, "k", b"same", slow))
    await asyncio.sleep(0)
    with pytest.raises(CallRefused) as refused:
        await keys.run(ANN, "k", b"same", slow)
    may_end.set()
    assert (refused.value.problem()["status"], await first) == (409, Reply(200, {}))


async def test_a_refusal_is_stored_and_a_failure_may_be_tried_again() -> None:
    keys = IdempotencyKeys(Settable())
    refusing = Counting(AccessRefused("no", reference="own-request"))
    with pytest.raises(AccessRefused):
        await keys.run(ANN, "k", b"", refusing)
    stored = await keys.run(ANN, "k", b"", refusing)
    assert (stored.status, stored.body["reference"], refusing.times) == (403, "own-request", 1)
    failing = Counting(ServerUnavailable("no store", reference="store-unavailable"))
    for _ in range(2):
        with pytest.raises(ServerUnavailable):
            await keys.run(ANN, "other", b"", failing)
    assert failing.times == 2


async def test_replies_are_kept_for_a_day_and_not_without_end() -> None:
    clock, action = Settable(), Counting()
    keys = IdempotencyKeys(clock)
    await keys.run(ANN, "k", b"", action)
    for number in range(150):
        await keys.run(BOB, f"k{number}", b"", action)
    assert len([each for each in keys._entries if each[0] == BOB]) <= 100
    assert await keys.run(ANN, "k", b"", action) == Reply(200, {"time": 1})
    clock.now += timedelta(hours=24)
    assert await keys.run(ANN, "k", b"", action) == Reply(200, {"time": 152})


@pytest.mark.parametrize(("header", "key"), [(None, None), ('"abc"', "abc"), ("abc", "abc"), ("a" * 255, "a" * 255)])
def test_keys_are_read_with_and_without_quotes(header: str | None, key: str | None) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "a b", "a" * 256, "\u00e9", 'a"b'])
def test_other_keys_are_refused(header: str) -> None:
    with pytest.raises(InvalidCall):
        read_key(header)
