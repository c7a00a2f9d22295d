"""One run at a time of something slow."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.single_flight import SingleFlight


async def test_who_asks_while_it_runs_gets_that_runs_outcome() -> None:
    runs: list[int] = []
    go = asyncio.Event()

    async def slow() -> int:
        runs.append(len(runs))
        await go.wait()
        return runs[-1]

    shared = SingleFlight(slow)
    waiting = [asyncio.create_task(shared()) for _ in range(5)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*waiting) == [0] * 5
    assert await shared() == 1, "nothing is remembered"


async def test_a_failure_is_shared_too_and_no_one_has_to_see_it() -> None:
    async def fails() -> None:
        raise ValueError("no")

    shared = SingleFlight(fails)
    first = asyncio.create_task(shared())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(ValueError, match="no"):
        await shared()


async def test_who_gives_up_does_not_take_it_from_the_others() -> None:
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return "done"

    shared = SingleFlight(slow)
    first, second = asyncio.create_task(shared()), asyncio.create_task(shared())
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == "done"


async def test_closing_stops_it() -> None:
    shared = SingleFlight(asyncio.Event().wait)
    waiting = asyncio.create_task(shared())
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await shared.close()
