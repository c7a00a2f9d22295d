"""Windows that ended early are known while a login may still come to them, and are dropped afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from pgjit.proxy.window.early_ends import EarlyEnds
from tests.contracts.store import NOW
from tests.fakes.both_ends import CONTEXT

HOUR = timedelta(hours=1)


async def _nothing() -> None: ...


async def test_one_is_known_until_its_granted_end_and_its_own_end_is_carried_out() -> None:
    ends, over = EarlyEnds(), asyncio.create_task(_nothing())
    await over
    still_ending = asyncio.create_task(asyncio.Event().wait())
    window = replace(CONTEXT.window, ends_at=NOW + HOUR)
    ends.add(replace(window, id="later", ends_at=NOW + 3 * HOUR), "revoked", "leaked", over, NOW)
    ends.add(replace(window, id="ending"), "locked", None, still_ending, NOW)  # type: ignore[arg-type]
    for number in range(1_000):
        ends.add(replace(window, id=f"w_{number}"), "revoked", "leaked", over, NOW)
    assert ends.of("w_0") == ends.of("w_999") == ("revoked", "leaked")
    for number in range(5_000):
        ends.add(replace(window, id=f"v_{number}"), "revoked", None, over, NOW + 2 * HOUR)
    assert ends.of("w_0") is None
    assert ends.of("later") == ("revoked", "leaked")
    assert ends.of("ending") == ("locked", None)
    assert len(ends) < 1_000
    still_ending.cancel()
