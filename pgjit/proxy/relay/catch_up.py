"""Deals with the messages of a client that have to wait for something, in order, until none is left.

`client_traffic.py` deals with all others at once, and holds what arrives meanwhile. `waits.py` decides what is waited
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from pgjit.judging.judge import Judgement
from pgjit.proxy.relay.batch import next_batch
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.waits import Waits
from pgwire.framing import Frame

__all__ = ["cancelled", "catch_up"]


class ClientStream(Protocol):
    """The client's messages, and what becomes of them."""

    def plan(
        self, batch: Sequence[Frame], judged: dict[bytes, Judgement], *, settled: bool = False
    ) -> ClientPlan | None:
        """What becomes of these messages. None: nothing, the session ends."""

    def carry_out(self, plan: ClientPlan, then: Callable[[], None]) -> None:
        """Record, then forward, then call `then`."""

    def needs_catalog(self) -> bool:
        """Whether the catalog has to be checked for changes before more is judged. True only once."""

    def take_held(self) -> Sequence[Frame] | None:
        """The messages that have arrived meanwhile. None: nothing has, or nothing more is forwarded."""


async def catch_up(stream: ClientStream, waits: Waits, frames: Sequence[Frame], plan: ClientPlan | None) -> None:
    """Deal with `frames`, and with what was held meanwhile. `plan`: of the messages before `frames`."""
    left: Sequence[Frame] | None = frames
    while left is not None:
        if plan is None and stream.needs_catalog():
            await waits.check_catalog(soon=True)
        await _pass_on(stream, waits, left, plan)
        if waits.over:
            return
        left, plan = stream.take_held(), None


async def cancelled(task: asyncio.Task[None] | None) -> None:
    """Cancel it, and wait for its end."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})


async def _pass_on(stream: ClientStream, waits: Waits, frames: Sequence[Frame], plan: ClientPlan | None) -> None:
    at, settled = 0, False
    judged: dict[bytes, Judgement] = {}
    done = 0
    while plan is not None or at < len(frames):
        if plan is None:
            batch = next_batch(frames, at)
            await waits.until_clear(batch)
            plan = stream.plan(batch, judged, settled=settled)
            if plan is None:
                return
            await _carried_out(stream, plan)
            done = len(batch) - len(plan.rest)
            at += done
        settled = plan.unknown or (settled and not done)
        judged = {} if done else judged
        if plan.unknown:
            judged = await waits.look_again(judged)
        if plan.unjudged is not None:
            judged |= await waits.judge_in_worker(plan.unjudged)
        plan = None
        if at < len(frames):
            await waits.yield_to_others()


async def _carried_out(stream: ClientStream, plan: ClientPlan) -> None:
    done = asyncio.Event()
    stream.carry_out(plan, done.set)
    await done.wait()
