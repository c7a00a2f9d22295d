"""Built-in functions that tools call by themselves: what only reads runs, and leaves nothing behind on the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.everyday import open_everyday
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader, ask, change

READING = [
    "SELECT txid_current_if_assigned(), pg_current_xact_id_if_assigned()",
    "SELECT count(*) FROM pg_available_extension_versions()",
    "SELECT relname, pg_sequence_last_value(oid) FROM pg_class WHERE relkind = 'S'",
    "SELECT count(*) FROM pg_lock_status()",
    "SELECT txid_status(1), pg_safe_snapshot_blocking_pids(1)",
    "SELECT checkpoint_lsn FROM pg_control_checkpoint()",
    "SELECT pg_stat_get_xact_numscans('pg_class'::regclass), pg_stat_clear_snapshot()",
    "SELECT count(*) FROM pg_get_replication_slots()",
    "SELECT setseed(0.5), random()",
]
SINCE_16 = [
    "SELECT pg_input_is_valid('1', 'integer'), pg_input_is_valid('x', 'numeric(5,2)')",
    "SELECT message FROM pg_input_error_info('{1,x}', 'int[]')",
    "SELECT pg_input_is_valid('2026-11-24', 'timestamp with time zone')",
]
REFUSED = {
    "SELECT txid_current()": "pgjit:function-call",
    "SELECT pg_current_xact_id()": "pgjit:function-call",
    "SELECT pg_export_snapshot()": "pgjit:exported-snapshots",
    "BEGIN; SET TRANSACTION SNAPSHOT '00000003-0000001B-1'": "pgjit:exported-snapshots",
    "SELECT pg_input_is_valid('1', 'app.positive')": "pgjit:foreign-type",
    "SELECT pg_input_is_valid('1', 'no_such')": "pgjit:foreign-type",
    "SELECT pg_input_is_valid('1', current_user)": "pgjit:function-call",
}


@pytest.fixture(params=["embedded", "everyday"])
def served(request: pytest.FixtureRequest, database: DemoDatabase, everyday_database: DemoDatabase) -> DemoDatabase:
    return database if request.param == "embedded" else everyday_database


def call(line: Line, texts: list[str]) -> list[str]:
    """Each in a transaction of its own; what failed, or made the transaction get a number."""
    found = []
    for text in texts:
        line.simple("BEGIN")
        states = [result.status for result in line.simple(text) if result.error_message]
        (numbered,) = line.simple("SELECT pg_current_xact_id_if_assigned() IS NULL")
        if states or numbered.get_value(0, 0) != b"t":
            found.append(text)
        line.simple("ROLLBACK")
    return found


async def test_what_only_reads_may_be_called_and_assigns_no_transaction_id(
    served: DemoDatabase, tmp_path: Path
) -> None:
    version = int(str(await ask(served, "SHOW server_version_num")))
    async with open_everyday(served, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        texts = READING + (SINCE_16 if version >= 160000 else [])
        assert await asyncio.to_thread(call, line, texts) == []
        for text, rule in REFUSED.items():
            found = refusal(await asyncio.to_thread(line.simple, text))
            assert found is not None, text
            assert rule in found[1] or found[0] in ("42704", "42883"), (text, found)
            await asyncio.to_thread(line.simple, "ROLLBACK")
        line.close()


async def test_a_switch_opens_exported_snapshots(served: DemoDatabase, tmp_path: Path) -> None:
    granted = "EXECUTE ON FUNCTION pg_export_snapshot()"
    await change(served, f"GRANT {granted} TO {served.user}")
    async with open_everyday(served, tmp_path, rules={"exported-snapshots": False}) as world:
        token = await world.token(add_reader(world))
        one = await asyncio.to_thread(Line.through, world, token)
        other = await asyncio.to_thread(Line.through, world, token)
        await asyncio.to_thread(one.simple, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        (exported,) = await asyncio.to_thread(one.simple, "SELECT pg_export_snapshot()")
        assert exported.error_message == b""
        name = (exported.get_value(0, 0) or b"").decode()
        await asyncio.to_thread(other.simple, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        taken = await asyncio.to_thread(other.simple, f"SET TRANSACTION SNAPSHOT '{name}'")
        assert [result.error_message for result in taken] == [b""]
        assert refusal(await asyncio.to_thread(other.simple, "SELECT txid_current()")) is not None
        one.close()
        other.close()
    await change(served, f"REVOKE {granted} FROM {served.user}")
