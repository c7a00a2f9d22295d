"""A signal while the program still starts, the second one while it stops, and SIGHUP, which ends nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from pgjit.cli.loop import Hangups, entered_unless, stop_signals


class Starting:
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.goes_on = asyncio.Event()
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        self.steps.append("starts")
        try:
            self.begun.set()
            await self.goes_on.wait()
            self.steps.append("runs")
            yield
        finally:
            self.steps.append("stopped")


async def test_a_program_that_starts_is_stopped_by_the_first_signal() -> None:
    starting, stop = Starting(), asyncio.Event()
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(entered_unless(stop, stack, starting.part()))
        await starting.begun.wait()
        stop.set()
        assert await entering is False
    assert starting.steps == ["starts", "stopped"]


async def test_a_program_that_runs_goes_on_to_its_own_end() -> None:
    starting, stop = Starting(), asyncio.Event()
    starting.goes_on.set()
    async with AsyncExitStack() as stack:
        assert await entered_unless(stop, stack, starting.part())
        stop.set()
        await asyncio.sleep(0)
        assert starting.steps == ["starts", "runs"]
    assert starting.steps == ["starts", "runs", "stopped"]


async def test_who_cancels_the_start_cancels_it() -> None:
    starting = Starting()
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(entered_unless(asyncio.Event(), stack, starting.part()))
        await starting.begun.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
    assert starting.steps == ["starts", "stopped"]


async def test_the_second_signal_is_another_event() -> None:
    loop = asyncio.get_running_loop()
    stop, at_once = stop_signals()
    try:
        for number, expected in ((signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(stop.wait(), 60)
            if expected:
                await asyncio.wait_for(at_once.wait(), 60)
            assert at_once.is_set() is expected
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@pytest.fixture
def _hangup_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangup_as_before")
async def test_a_sighup_that_comes_before_the_loop_runs_is_handled_and_several_are_handled_once() -> None:
    hangups = Hangups()
    os.kill(os.getpid(), signal.SIGHUP)
    handled, goes_on, calls = asyncio.Semaphore(0), asyncio.Event(), 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        handled.release()
        await goes_on.wait()

    async with asyncio.timeout(60), hangups.handled(work):
        await handled.acquire()
        for _ in range(3):  # while the first is handled
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
        goes_on.set()
        await handled.acquire()
        os.kill(os.getpid(), signal.SIGHUP)
        await handled.acquire()
    assert calls in (3, 4)  # a signal may arrive a turn of the loop late
