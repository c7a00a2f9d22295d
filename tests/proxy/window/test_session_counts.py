"""Counts of sessions reach the store in the order in which they were true."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.grants.request_refusals import TooManySessions
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.policy.policy import Limits
from pgjit.proxy.window.session_counts import SessionCounts
from tests.contracts.store import ALICE, NOW, POLICY


async def test_a_count_is_read_when_it_is_its_turn(tmp_path: Path) -> None:
    one = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True), node="one")
    two = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True), node="two")
    await one.open()
    await two.open()
    policy = replace(POLICY, limits=Limits(sessions=2))
    counts, sessions = SessionCounts(one), 2
    assert counts.needed(policy)
    assert not counts.needed(POLICY)
    window, _ = await one.admit(ALICE, policy, NOW, sessions=2)
    async with counts.in_order(policy):
        ended = asyncio.create_task(counts.report([window], lambda: sessions))
        await asyncio.sleep(0)
        sessions = 1
        assert not ended.done()
        with pytest.raises(TooManySessions):
            await two.admit(ALICE, policy, NOW, sessions=1)
    await ended
    await two.admit(ALICE, policy, NOW, sessions=1)
    await one.close()
    await counts.report([window], lambda: 0)  # the store is away: the count stays too high
    with pytest.raises(TooManySessions):
        await two.admit(ALICE, policy, NOW, sessions=2)
    await two.close()
