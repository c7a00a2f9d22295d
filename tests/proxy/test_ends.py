"""Many sessions that end at once: each is cut off before the first one ends, and others go on meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.proxy.ends import end_sessions


class Ending:
    """A session that notes what was done to it, and with how many others before."""

    log: list[str]
    over: asyncio.Event

    def __init__(self, log: list[str], over: asyncio.Event, *, idle: bool = True) -> None:
        self.log = log
        self.over = over
        self.idle = idle

    def cut_off(self) -> None:
        self.log.append("cut off")

    async def end(self, reason: str, explanation: str | None = None) -> None:
        self.log.append(f"{reason}: {explanation}")
        await self.over.wait()


async def test_all_are_cut_off_at_once_and_end_a_few_at_a_time() -> None:
    log: list[str] = []
    over = asyncio.Event()
    sessions = [Ending(log, over) for _ in range(100)]
    task = asyncio.create_task(end_sessions(sessions, "revoked", "leaked"))
    await asyncio.sleep(0)
    assert log[:100] == ["cut off"] * 100
    turns = 0
    while len(log) < 200:
        turns += 1
        await asyncio.sleep(0)
    assert log[100:] == ["revoked: leaked"] * 100
    assert turns > 5
    assert not task.done()
    over.set()
    await task


async def test_what_runs_is_stopped_first() -> None:
    running, idle = list[str](), list[str]()
    over = asyncio.Event()
    sessions = [Ending(idle, over) for _ in range(50)] + [Ending(running, over, idle=False) for _ in range(5)]
    task = asyncio.create_task(end_sessions(sessions, "ttl"))
    while len(running) < 10:
        await asyncio.sleep(0)
    assert idle.count("ttl: None") <= 5
    over.set()
    await task
    assert idle.count("ttl: None") == 50


async def test_who_stops_to_wait_leaves_no_task() -> None:
    over = asyncio.Event()
    sessions = [Ending([], over) for _ in range(100)]
    task = asyncio.create_task(end_sessions(sessions, "shutdown"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
