"""Waiting for a moment of the clock of pgjit: it ends when that is reached, whatever is set, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.clock import Clock
from pgjit.proxy.window import wait_until as module
from pgjit.proxy.window.wait_until import wait_until
from tests.run.waiting import a_while, until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class _Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON, 0.0
        self.clock = Clock(wall=lambda: self.wall, steady=lambda: self.steady)

    @asynccontextmanager
    async def waiting(self, *minutes: float) -> AsyncIterator[list[asyncio.Task[None]]]:
        """A task for each that waits for so many minutes past noon."""
        moments = [self.clock.until(NOON + timedelta(minutes=each)) for each in minutes]
        tasks = [asyncio.create_task(wait_until(moment)) for moment in moments]
        await asyncio.sleep(0)
        yield tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Broken:
    def __call__(self) -> float:
        raise OSError("no clock")


@asynccontextmanager
async def caught() -> AsyncIterator[list[object]]:
    """What fails in the loop's callbacks."""
    loop, faults = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    yield faults
    loop.set_exception_handler(None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 0.005)


async def test_it_returns_when_the_time_is_over_and_not_before() -> None:
    clock = Clock()
    moment = clock() + timedelta(seconds=0.05)
    await wait_until(clock.until(moment))
    assert clock() >= moment


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    time = _Time()
    async with time.waiting(0, -1) as tasks:
        assert all(task.done() for task in tasks)


@pytest.mark.parametrize("which", ["wall", "steady"])
async def test_a_clock_that_is_set_forward_is_noticed_by_all_whose_moment_it_reached(which: str) -> None:
    time = _Time()
    async with time.waiting(5, 10, 10, 60) as (first, *both, last):
        await a_while(0.02)  # some looks find nothing
        if which == "wall":
            time.wall += timedelta(minutes=10)
        else:
            time.steady += 600.0  # the machine slept, and the wall clock does not know yet
        await until(lambda: first.done() and all(task.done() for task in both))
        await a_while(0.05)
        assert not last.done()


async def test_a_timer_that_is_early_by_pgjit_s_clock_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 60.0)
    time = _Time()
    async with time.waiting(0.0001) as (task,):  # six milliseconds; the clock stands still
        await a_while(0.05)
        assert not task.done()
        time.steady += 1.0
        await until(task.done)


async def test_one_timer_looks_at_all_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 60.0)
    loop, time = asyncio.get_running_loop(), _Time()
    delays: list[float] = []
    call_later = loop.call_later

    def noted(delay: float, *arguments: object) -> asyncio.TimerHandle:
        delays.append(delay)
        return call_later(delay, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_later", noted)
    async with time.waiting(*[5] * 100):
        assert delays.count(60.0) == 1
        waits = module._waits()
        assert len(waits._untils) == 100
    assert (len(waits._untils), waits._looking) == (0, None)


async def test_a_look_that_failed_is_not_the_last() -> None:
    time = _Time()
    async with time.waiting(5) as (task,):
        good, time.clock.steady = time.clock.steady, _Broken()
        async with caught() as faults:
            await until(lambda: faults)
        time.clock.steady = good
        time.wall += timedelta(minutes=5)
        await until(task.done)
