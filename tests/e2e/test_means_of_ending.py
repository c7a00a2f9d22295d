"""What ends sessions is not in their hands: attacks on it under `access: full`, with a login that is no superuser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.attacked import (
    KILL,
    LOCK_OUT,
    Ahead,
    all_slots_taken,
    attack,
    ended,
    guarded,
    open_attacked,
    restore,
    serve_attacked,
    until,
)
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_breaker, ask, change, records

SETTINGS = (
    "statement_timeout = '1ms'",
    "idle_session_timeout = '10ms'",
    "transaction_timeout = '1ms'",
    "tcp_user_timeout = 1",
    "local_preload_libraries = 'nothing_of_that_name'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "default_transaction_read_only = on",
    "lock_timeout = 1",
    "search_path = 'nowhere'",
    "client_min_messages = 'debug5'",
)


@pytest.fixture(scope="module")
def attacked() -> Iterator[DemoDatabase]:
    with serve_attacked() as database:
        yield database


@pytest.fixture
async def clean(attacked: DemoDatabase) -> AsyncIterator[DemoDatabase]:
    await restore(attacked)
    yield attacked
    await restore(attacked)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    ahead = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: ahead)
    return ahead


@asynccontextmanager
async def attacking(world: World, *steps: str, before: str = "") -> AsyncIterator[asyncio.Task[None]]:
    """The steps of one session, the last of which goes on for ever; the task is done when the session is.

    `before` them the administrator runs something, when the control connections are there.
    """
    connection = await connect_psycopg(world, await world.token(add_breaker(world)), "full", "write-target")
    await guarded(world.database)
    if before:
        await change(world.database, before)

    async def run() -> None:
        for step in steps:
            await connection.execute(step.encode())

    running = asyncio.create_task(run())
    try:
        while not await _count(world):
            assert not running.done() or running.exception() is None, running
            await asyncio.sleep(0.01)
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()


async def _count(world: World) -> int:
    return int(str(await ask(world.database, "SELECT count(*) FROM notes WHERE note = 'beyond'")))


async def _proven(world: World, clock: Ahead) -> int:
    """End the window; the proof is there, and after it nothing is committed any more. How long it took."""
    clock.add(timedelta(hours=1))
    record = await ended(world)
    committed = await _count(world)
    proof = record["proof"]
    assert isinstance(proof, dict)
    assert (proof["gone"], proof["by"]) == (True, "look")
    backend = records(world, "session.opened")[0]["backend"]
    assert isinstance(backend, dict)
    assert proof["server"]["system"] == backend["server"]["system"]
    assert await ask(world.database, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", backend["pid"]) == 0
    assert await _count(world) == committed
    return int(proof["took_ms"])


ATTACKS = {
    "no cancel is minded": (),
    "the control connections are killed once": (KILL,),
    "the secret is another one": (LOCK_OUT,),
    "every setting for the role": (*(f"ALTER ROLE CURRENT_USER SET {setting}" for setting in SETTINGS), KILL),
}
EACH = {f"{setting} for the role": (f"ALTER ROLE CURRENT_USER SET {setting}", KILL) for setting in SETTINGS}
ALL = ATTACKS | EACH


@pytest.mark.parametrize("name", [*ATTACKS, *(pytest.param(name, marks=pytest.mark.slow) for name in EACH)])
async def test_the_end_comes_in_spite_of(name: str, clean: DemoDatabase, tmp_path: Path, clock: Ahead) -> None:
    async with (
        open_attacked(clean, tmp_path, own_login=False) as world,
        attacking(world, *attack(*ALL[name])) as running,
    ):
        took = await _proven(world, clock)
        with pytest.raises(psycopg.Error):
            await running
    print(f"{name}: {took} ms")


async def test_an_older_server_that_does_not_know_every_setting(tmp_path: Path, clock: Ahead) -> None:
    with serve_attacked(16) as older:
        steps = attack("ALTER ROLE CURRENT_USER SET idle_session_timeout = '10ms'", KILL)
        async with open_attacked(older, tmp_path, own_login=False) as world, attacking(world, *steps):
            await _proven(world, clock)


@pytest.mark.parametrize(
    "steps",
    [
        (LOCK_OUT, f"DO $$ BEGIN PERFORM count(*) FROM ({KILL}) AS killed; END $$"),
        (LOCK_OUT, "ALTER ROLE CURRENT_USER SET statement_timeout = 1"),
    ],
    ids=["it would kill", "it bends its role"],
)
async def test_a_control_login_of_its_own_is_out_of_reach(
    steps: tuple[str, ...], clean: DemoDatabase, tmp_path: Path, clock: Ahead
) -> None:
    async with open_attacked(clean, tmp_path, own_login=True) as world:
        async with attacking(world, *attack(*steps)):
            others = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgjit_control'"
            assert int(str(await ask(clean, others))) >= 1
            took = await _proven(world, clock)
        assert records(world, "backend.remains") == []
    print(f"with a login of its own: {took} ms")


@pytest.mark.parametrize("killed", [False, True], ids=["while they stand", "after one of them was killed"])
async def test_an_end_needs_no_slot_that_the_server_has_left(
    killed: bool, clean: DemoDatabase, tmp_path: Path, clock: Ahead
) -> None:
    one = "SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE application_name = 'pgjit control'"
    async with (
        open_attacked(clean, tmp_path, own_login=False) as world,
        attacking(world, *attack()),
        all_slots_taken(clean),
    ):
        if killed:
            await change(clean, one)
        took = await _proven(world, clock)
    print(f"with all slots taken: {took} ms")


async def test_a_login_in_reserve_survives_what_is_done_in_one_breath(
    clean: DemoDatabase, tmp_path: Path, clock: Ahead
) -> None:
    """The password is another one, all that is logged in is killed, and the loop goes on: in one statement."""
    async with (
        open_attacked(clean, tmp_path, own_login=False) as world,
        attacking(world, *attack(LOCK_OUT, first=KILL)),
    ):
        took = await _proven(world, clock)
    print(f"by the login in reserve: {took} ms")


async def test_an_end_that_cannot_be_carried_out_is_alerted_and_goes_on(
    clean: DemoDatabase, tmp_path: Path, clock: Ahead
) -> None:
    """All that could end it was killed, and its role may not log in any more."""
    shut = f"ALTER ROLE {clean.writer} NOLOGIN"
    async with (
        open_attacked(clean, tmp_path, own_login=False) as world,
        attacking(world, *attack(first=KILL), before=shut) as running,
    ):
        clock.add(timedelta(hours=1))
        with pytest.raises(psycopg.Error) as told:
            await running
        await until(lambda: bool(records(world, "window.ending")))
        [remains] = records(world, "backend.remains")
        assert remains["proof"]["gone"] is False  # type: ignore[index]
        assert records(world, "session.ended") == records(world, "window.ended") == []
        assert "rolled back" not in str(told.value)
        assert "not committed" not in str(told.value)
        assert "may still be committed" in str(told.value)
        await change(clean, f"ALTER ROLE {clean.writer} LOGIN")
        record = await ended(world)
        assert record["proof"]["gone"] is True  # type: ignore[index]


async def test_nothing_is_committed_after_the_last_word(clean: DemoDatabase, tmp_path: Path, clock: Ahead) -> None:
    async with open_attacked(clean, tmp_path, own_login=False) as world, attacking(world, *attack()) as running:
        clock.add(timedelta(hours=1))
        with pytest.raises(psycopg.Error, match="is over") as told:
            await running
        committed = await _count(world)
        assert "its uncommitted work was rolled back" in str(told.value)
        await ended(world)
        assert await _count(world) == committed
