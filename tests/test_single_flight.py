"""One run at a time of something slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pgjit.single_flight import SingleFlight, SingleFlightByKey


class Stopped(Exception):
    pass


class Slow:
    """A run that ends when `go` is set; its result is how many runs there were before."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        number = self.runs
        await self.go.wait()
        return number


async def _fails() -> None:
    raise ValueError("no")


async def _waiting(call: Callable[[], object]) -> asyncio.Task[object]:
    """A caller that has come so far that it waits."""

    async def wait() -> object:
        return await call()  # type: ignore[misc]

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


async def test_who_calls_while_it_runs_gets_that_runs_result() -> None:
    slow = Slow()
    flight = SingleFlight(slow, stopped=Stopped)
    waiting = [asyncio.create_task(flight()) for _ in range(5)]
    await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(*waiting) == [1] * 5
    assert await flight() == 2, "no result is kept"


async def test_a_run_may_begin_before_anyone_waits() -> None:
    slow = Slow()
    flight = SingleFlight(slow, stopped=Stopped)
    run = flight.begin()
    assert flight.running is run is flight.begin()
    slow.go.set()
    assert await flight() == 1


async def test_every_caller_gets_the_runs_exception() -> None:
    flight = SingleFlight(_fails, stopped=Stopped)
    outcomes = await asyncio.gather(flight(), flight(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert outcomes[0] is outcomes[1]


async def test_an_exception_that_no_caller_sees_is_not_reported_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    flight = SingleFlight(_fails, stopped=Stopped)
    caller = await _waiting(flight)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await asyncio.sleep(0)
    assert flight.running is None
    assert not caplog.records


async def test_a_caller_that_is_cancelled_leaves_alone() -> None:
    slow = Slow()
    flight = SingleFlight(slow, stopped=Stopped)
    first, second = await _waiting(flight), await _waiting(flight)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    slow.go.set()
    assert await second == 1


async def test_the_run_goes_on_when_every_caller_is_cancelled() -> None:
    slow = Slow()
    flight = SingleFlight(slow, stopped=Stopped)
    caller = await _waiting(flight)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    slow.go.set()
    assert await flight() == 1


async def test_closing_stops_the_run_and_its_callers_get_an_error_of_their_own() -> None:
    flight = SingleFlight(Slow(), stopped=Stopped)
    caller = await _waiting(flight)
    await flight.close()
    assert flight.running is None
    with pytest.raises(Stopped):
        await caller
    with pytest.raises(Stopped):
        await flight()
    await flight.close()


async def test_each_key_has_a_run_of_its_own() -> None:
    slow, other = Slow(), Slow()
    flights: SingleFlightByKey[str, int] = SingleFlightByKey(stopped=Stopped)
    waiting = [asyncio.create_task(flights("a", slow)) for _ in range(2)]
    await asyncio.sleep(0)
    other.go.set()
    assert await flights("b", other) == 1
    assert flights.running("a") is not None
    assert flights.running("b") is None
    slow.go.set()
    assert await asyncio.gather(*waiting) == [1, 1]


async def test_closing_stops_the_runs_of_all_keys() -> None:
    flights: SingleFlightByKey[str, int] = SingleFlightByKey(stopped=Stopped)
    callers = [asyncio.create_task(flights(key, Slow())) for key in "ab"]
    await asyncio.sleep(0)
    await flights.close()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Stopped, Stopped]
