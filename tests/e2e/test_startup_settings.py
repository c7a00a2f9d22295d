"""Settings in the startup packet and in `options`, as drivers and tools give them: in every form, on old and new."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg
from tests.e2e.everyday import open_everyday
from tests.e2e.worlds import add_reader, records


@pytest.fixture(params=["embedded", "everyday"])
def served(request: pytest.FixtureRequest, database: DemoDatabase, everyday_database: DemoDatabase) -> DemoDatabase:
    return database if request.param == "embedded" else everyday_database


GIVEN = {  # what drivers and tools ask for at the start, and what the session then has
    "jit": ("off", "off"), "statement_timeout": ("30000", "30s"), "default_transaction_read_only": ("on", "on"),
    "client_min_messages": ("warning", "warning"), "bytea_output": ("escape", "escape"), "row_security": ("on", "on"),
    "standard_conforming_strings": ("on", "on"), "application_name": ("x", None), "lock_timeout": ("5s", "5s"),
    "search_path": ("public", "public"), "role": ("none", "none"), "work_mem": ("8MB", "8MB"),
    "enable_nestloop": ("off", "off"), "idle_in_transaction_session_timeout": ("60s", "1min"),
    "default_transaction_isolation": ("serializable", "serializable"), "extra_float_digits": ("2", "2"),
}  # fmt: skip
FORMS = ["-c {}={}", "-c{}={}", "--{}={}"]


@pytest.mark.parametrize("form", [*FORMS, None])
async def test_what_set_may_do_the_startup_packet_and_options_may_do(
    served: DemoDatabase, tmp_path: Path, form: str | None
) -> None:
    async with open_everyday(served, tmp_path) as world:
        await see_given(world, form)


async def see_given(world: World, form: str | None) -> None:
    token = await world.token(add_reader(world))
    written = GIVEN if form is not None else {}
    settings = " ".join((form or "").format(name, value) for name, (value, _) in written.items())
    own = {name: value for name, (value, _) in GIVEN.items()} if form is None else {}
    connection = await connect_asyncpg(world, token, "reader", options=settings, settings=own)
    try:
        for name, (_, shown) in GIVEN.items():
            if shown is not None:
                assert await connection.fetchval(f"SHOW {name}") == shown, name
                await connection.execute(f"RESET {name}")
                assert await connection.fetchval(f"SHOW {name}") == shown, name
    finally:
        await connection.close()
    assert records(world, "session.opened")[0]["application_name"] == "x"


REFUSED = [
    ("work_mem=64GB", "startup parameter `work_mem` is not accepted", "28000"),
    ("statement_timeout=0", "startup parameter `statement_timeout` is not accepted", "28000"),
    ("no_such=1", "startup parameter `no_such` is not accepted", "28000"),
    ("jit=perhaps", 'parameter "jit" requires a Boolean value', "22023"),
    ("work_mem=1kB", 'outside the valid range for parameter "work_mem"', "22023"),
    ("client_min_messages=loud", 'invalid value for parameter "client_min_messages": "loud"', "22023"),
    ("plan_cache_mode=x", 'invalid value for parameter "plan_cache_mode": "x"', "22023"),
]


async def test_a_setting_that_is_not_taken_is_told_by_its_name(served: DemoDatabase, tmp_path: Path) -> None:
    async with open_everyday(served, tmp_path) as world:
        token = await world.token(add_reader(world))
        for given, message, sqlstate in REFUSED:
            with pytest.raises(asyncpg.PostgresError, match=message) as refused:
                await connect_asyncpg(world, token, "reader", options=f"-c {given}")
            assert refused.value.sqlstate == sqlstate, given
        assert not records(world, "session.opened")
