"""The red-team collection, live: what is to be refused never reaches the server, and what may run gets there.

The login role is a superuser and nothing but pgjit is in the way.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.sql.parse import read_message
from tests.e2e.loose import Line, LogSlice, open_loose, refusal, untouched
from tests.e2e.worlds import Record, add_reader, records

COLLECTION = Path(__file__).parents[1] / "fixtures" / "redteam" / "read-only.jsonl"
ROWS = [row for row in map(json.loads, COLLECTION.read_text("utf-8").splitlines()) if "sql" in row]
SEVERAL = ("42601", "pgjit:several-statements")  # PostgreSQL as well takes one statement a Parse


def statements(sql: str) -> int:
    return len(read_message(sql).statements)


def faults_of(row: dict[str, str], way: str, line: Line, log: LogSlice) -> list[str]:
    """Send a row's statement one way; what is not as it has to be."""
    line.roll_back()
    log.read()
    sql = row["sql"]
    found = refusal((line.simple if way == "simple" else line.extended)(sql))
    seen = log.read()
    several = way == "extended" and row["expect"] == "allow" and statements(sql) > 1
    faults = []
    if row["expect"] == "deny" or several:
        if found is None:
            faults.append("not refused")
        elif found[0][:2] not in ("42", "54", "26", "34"):
            faults.append(f"refused as {found}")
        if several and (found is None or found[:2] != SEVERAL):
            faults.append(f"refused as {found}")
        # The log has no word of what was refused: neither run, nor prepared, nor in an error.
        if sql[:40] in seen or "duration:" in seen:
            faults.append(f"the server saw {seen}")
    else:
        if found is not None:
            faults.append(f"refused as {found}")
        if sql not in seen:
            faults.append(f"did not reach the server: {seen}")
    return [f"{row['id']} ({way}): {fault}" for fault in faults]


def run(rows: list[dict[str, str]], line: Line, log: LogSlice) -> list[str]:
    return [fault for row in rows for way in ("simple", "extended") for fault in faults_of(row, way, line, log)]


async def test_every_statement_gets_its_decision_and_no_refused_one_reaches_the_server(
    loose_database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_loose(loose_database, tmp_path) as world:
        before = await untouched(loose_database)
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        [opened] = records(world, "session.opened")
        log = LogSlice(loose_database, int(str(opened["backend_pid"])))
        faults = await asyncio.to_thread(run, ROWS, line, log)
        assert not faults, "\n".join(faults)
        assert line.alive
        line.close()
        after = await untouched(loose_database)
        assert [name for name in before | after if before.get(name) != after.get(name)] == []
        executions = records(world, "execution")
        missing = [fault for row in ROWS for fault in unrecorded(row, executions)]
        assert not missing, "\n".join(missing)


def unrecorded(row: dict[str, str], executions: list[Record]) -> list[str]:
    """Both ways are on record with the decision."""
    if ";" in row["sql"] or not row["sql"]:
        return []  # several statements have records of their own, and none has none
    known = {(r.get("protocol", "simple"), r["decision"]) for r in executions if r["statement"] == row["sql"]}
    return [f"{row['id']}: {way}" for way in ("simple", "extended") if (way, row["expect"]) not in known]


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT nothing"])
async def test_the_servers_log_would_tell(loose_database: DemoDatabase, text: str) -> None:
    """What the test above looks for is to be found where a statement does reach the server."""
    line = await asyncio.to_thread(Line.direct, loose_database)
    log = LogSlice(loose_database, line.pid)
    line.simple(text)
    assert text in log.read()
    line.extended(text)
    assert text in log.read()
    line.close()
