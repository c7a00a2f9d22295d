"""A backend that one process could not end is ended by the next one, and its window is not over before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.attacked import KILL, Ahead, attack, guarded, open_attacked, restore, serve_attacked, until
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_breaker, ask, change, records
from tests.fakes.local_http import local_http
from tests.run.waiting import until_it_holds


@pytest.fixture(scope="module")
def attacked() -> Iterator[DemoDatabase]:
    with serve_attacked() as database:
        yield database


async def test_the_process_that_comes_after_goes_on(
    attacked: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: clock)
    monkeypatch.setattr("pgjit.proxy.drain._END_SECONDS", 0.5)
    await restore(attacked)
    async with open_attacked(attacked, tmp_path, own_login=False) as world:
        connection = await connect_psycopg(world, await world.token(add_breaker(world)), "full", "write-target")
        pid = connection.info.backend_pid

        async def run() -> None:
            for step in attack(first=KILL):
                await connection.execute(step.encode())

        await guarded(attacked)
        await change(attacked, f"ALTER ROLE {attacked.writer} NOLOGIN")
        running = asyncio.create_task(run())
        await until_it_holds(lambda: ask(attacked, "SELECT count(*) FROM notes"))
        clock.add(timedelta(hours=1))
        await until(lambda: bool(records(world, "window.ending")))
    await asyncio.gather(running, return_exceptions=True)
    await connection.close()
    [left] = records(world, "session.ended")
    assert left["proof"]["gone"] is False  # type: ignore[index]
    assert await ask(attacked, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 1
    async with open_attacked(attacked, tmp_path, own_login=False) as world:
        await until(lambda: len(records(world, "backend.remains")) == 2)
        assert records(world, "window.ended") == [], "it is over, and not ended"
        async with local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as admin:
            answer = await admin.get("/readyz")
            assert (answer.status_code, "earlier-backends" in answer.text) == (503, True)
        await change(attacked, f"ALTER ROLE {attacked.writer} LOGIN")
        await until(lambda: bool(records(world, "window.ended")))
        await until(lambda: not world.app._kept_backends.orphans_remain)
        [gone] = records(world, "backend.gone")
        assert (gone["session"], gone["backend"]["pid"]) == (left["session"], pid)  # type: ignore[index]
        assert (gone["proof"]["gone"], gone["proof"]["by"]) == (True, "look")  # type: ignore[index]
        assert await ask(attacked, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 0
    async with open_attacked(attacked, tmp_path, own_login=False) as world:
        assert len(records(world, "backend.gone")) == 1, "it is forgotten then"
