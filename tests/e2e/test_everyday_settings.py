"""Settings that a session may change, and those that it may only bring back: what guards it stays as it began."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.policy.session_settings import CAPPED, FREE, PINNED, TIMEOUTS
from tests.e2e.everyday import open_everyday
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader

# What connection pools and drivers send when they begin and when they give a connection back.
POOLS = [
    "RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; DISCARD TEMP",
    "DISCARD ALL",
    "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
    "SET client_min_messages TO 'warning'; SET standard_conforming_strings = on; SET intervalstyle = iso_8601",
    "SET SESSION timezone TO 'UTC'; SET DateStyle=ISO; SET client_min_messages=notice; SET client_encoding='UNICODE'",
    "SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'",
    "SET extra_float_digits = 3; SET application_name = 'a tool'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET default_transaction_read_only TO 'on'; SET row_security = on; SET statement_timeout = '5s'",
    "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET transaction_read_only = on; COMMIT",
]
# They would lift what ends a session when pgjit itself is gone, or change what text and names mean.
KEPT = [
    "SET statement_timeout = 0", "SELECT set_config('statement_timeout', '0', false)", "SET idle_session_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0", "SET transaction_timeout = 0", "SET search_path = ''",
    "SELECT pg_catalog.set_config('search_path', '', false)", "SET client_encoding = 'LATIN1'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET default_transaction_read_only = off",
    "SET client_connection_check_interval = 0", "SET ROLE postgres", "SET SESSION AUTHORIZATION postgres",
    "SET row_security = off", "SET lock_timeout = 0", "SET work_mem = '1GB'", "SET search_path = app, pg_temp",
    "BEGIN; RESET transaction_read_only", "SET idle_in_transaction_session_timeout = '25h'",
    "SELECT set_config('transaction_read_only', NULL, false)", "SET search_path = 'app, public'",
]  # fmt: skip
# Each says what is so, goes back to it, or changes nothing that a rule rests on: in a transaction and outside of one.
HARMLESS = [
    "SET search_path = public", "SET SCHEMA 'public'", "SELECT set_config('search_path', 'public', false)",
    "SET search_path TO DEFAULT", "RESET search_path", "SELECT set_config('search_path', NULL, false)",
    "RESET ROLE", "SET ROLE TO DEFAULT", "SET ROLE NONE", "SELECT set_config('role', 'none', false)",
    "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION {user}",
    "SET ROLE {user}; RESET ROLE", "SET LOCAL ROLE NONE", "SET NAMES 'UTF8'", "RESET client_encoding",
    "RESET standard_conforming_strings", "RESET default_transaction_read_only", "RESET row_security",
    "RESET idle_in_transaction_session_timeout", "RESET statement_timeout", "SET backslash_quote = safe_encoding",
    "SET enable_seqscan = off; RESET enable_seqscan", "RESET ALL",
]  # fmt: skip
WAYS = ["{}", "BEGIN; {}; COMMIT", "BEGIN; {}; ROLLBACK", "BEGIN; SAVEPOINT a; {}; ROLLBACK TO a; COMMIT"]


def settings_of(line: Line) -> dict[bytes, bytes]:
    (result,) = line.simple("SELECT name, setting FROM pg_settings WHERE name <> 'application_name' ORDER BY 1")
    rows = ((result.get_value(row, 0) or b"", result.get_value(row, 1) or b"") for row in range(result.ntuples))
    return dict(rows)


def changed(line: Line, before: dict[bytes, bytes], user: str) -> list[str]:
    """Harmless statements after which the session is not what it was, or that were refused."""
    found = []
    for text in (way.format(each.format(user=user)) for each in HARMLESS for way in WAYS):
        if failed(line.simple(text)) or settings_of(line) != before:
            found.append(text)
            line.simple("ROLLBACK; RESET ALL")
    return found


def failed(results: list[pq.abc.PGresult]) -> bool:
    return any(result.status == pq.ExecStatus.FATAL_ERROR for result in results)


def bring_back(line: Line, names: list[str]) -> list[str]:
    """RESET each of them in every way; those that pgjit refuses."""
    ways = ("RESET {}", "SET {} TO DEFAULT", "SET LOCAL {} TO DEFAULT")
    texts = [way.format(f'"{name}"' if "." not in name else name) for name in names for way in ways]
    return [text for text in texts if refusal(line.simple(text)) is not None]


def change(line: Line) -> list[str]:
    """Set each of those that may be set to what it is; those that are refused."""
    current = settings_of(line)
    known = [name for name in sorted(FREE) if name.encode() in current]
    texts = [f"SELECT set_config('{name}', current_setting('{name}'), false)" for name in known[:5]]
    assert all(refusal(line.simple(text)) is not None for text in texts)  # no constant
    texts = [f"SET {name} = '{current[name.encode()].decode()}'" for name in known]
    return [text for text in texts if failed(line.simple(text))]


@pytest.fixture(params=["embedded", "everyday"])
def served(request: pytest.FixtureRequest, database: DemoDatabase, everyday_database: DemoDatabase) -> DemoDatabase:
    return database if request.param == "embedded" else everyday_database


async def test_whatever_is_reset_is_what_the_session_began_with(served: DemoDatabase, tmp_path: Path) -> None:
    async with open_everyday(served, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        before = await asyncio.to_thread(settings_of, line)
        known = {name.decode() for name in before} & (PINNED.keys() | TIMEOUTS | CAPPED.keys())
        resettable = sorted(known - {"transaction_read_only"})
        assert await asyncio.to_thread(bring_back, line, resettable) == []
        assert await asyncio.to_thread(settings_of, line) == before
        assert await asyncio.to_thread(change, line) == []
        assert await asyncio.to_thread(changed, line, before, served.user) == []
        for text in POOLS:
            assert not failed(await asyncio.to_thread(line.simple, text)), text
        await asyncio.to_thread(line.simple, "RESET ALL")
        after = await asyncio.to_thread(settings_of, line)
        assert {name: value for name, value in after.items() if before[name] != value} == {}
        for text in KEPT:
            assert refusal(await asyncio.to_thread(line.simple, text)) is not None, text
            await asyncio.to_thread(line.simple, "ROLLBACK")
        assert line.alive
        line.close()
