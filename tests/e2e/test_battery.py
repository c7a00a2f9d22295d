"""What an agent asks every day has the results that it has directly, on 15 and on 18 with their extensions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from tests.e2e.battery import write_policy
from tests.e2e.everyday import FIXTURES, direct_conninfo, extensions_of
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader, ask, open_world


class Asked(NamedTuple):
    verdict: str  # runs, alike, or the rule that refuses it
    needs: str
    label: str
    sql: str

    @property
    def runs(self) -> bool:
        return self.verdict in ("runs", "alike")

    @property
    def may_leave_something(self) -> bool:
        """In the session: a setting, a prepared statement, a cursor, a lock."""
        sql = self.sql.lower()
        return not sql.startswith(("select", "with")) or any(word in sql for word in ("set", "lock", ";"))


def battery() -> list[Asked]:
    lines = (FIXTURES / "battery.txt").read_text("utf-8").splitlines()
    return [Asked(*line.split("|", 3)) for line in lines if not line.startswith("#")]


def outcome(results: list[pq.abc.PGresult], *, rows: bool) -> list[object]:
    found: list[object] = []
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            found.append(result.error_field(pq.DiagnosticField.SQLSTATE))
            continue
        columns = [result.fname(at) for at in range(result.nfields)]
        values = [[result.get_value(row, at) for at in range(result.nfields)] for row in range(result.ntuples)]
        found.append([columns, *([result.command_status, values] if rows else [])])
    return found


def compared(asked: Asked, line: Line, direct: Line) -> str | None:
    """What is not as it has to be."""
    through = line.simple(asked.sql)
    found = refusal(through)
    if not asked.runs:
        said = found is not None and found[1] == f"pgjit:{asked.verdict}"
        helps = said and bool(through[-1].error_field(pq.DiagnosticField.MESSAGE_HINT))
        return None if helps else f"{asked.label}: {found} and not {asked.verdict} with a hint"
    rows = asked.verdict == "runs"
    wanted = outcome(direct.simple(asked.sql), rows=rows)
    for each in (line, direct):
        each.roll_back()
        if asked.may_leave_something:
            each.simple("DISCARD ALL")
    if asked.may_leave_something:
        direct.simple("SET default_transaction_read_only = on")
    return None if outcome(through, rows=rows) == wanted else f"{asked.label}: {found} {asked.sql}"


def test_there_are_three_hundred_of_them() -> None:
    assert len({asked.sql for asked in battery()}) >= 300
    assert sum(asked.runs for asked in battery()) >= 250


@pytest.mark.timeout(600)
async def test_each_statement_that_only_reads_has_the_result_that_it_has_directly(
    contrib_database: DemoDatabase, tmp_path: Path
) -> None:
    version = await ask(contrib_database, "SELECT current_setting('server_version_num')::integer / 10000")
    available = await extensions_of(contrib_database)

    def can(asked: Asked) -> bool:
        return int(asked.needs) <= int(str(version)) if asked.needs.isdigit() else asked.needs in available | {""}

    async with open_world(contrib_database, tmp_path, policies=write_policy(tmp_path)) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        direct = await asyncio.to_thread(Line, direct_conninfo(contrib_database))
        await asyncio.to_thread(direct.simple, "SET default_transaction_read_only = on")
        faults = [await asyncio.to_thread(compared, asked, line, direct) for asked in battery() if can(asked)]
        line.close()
        direct.close()
    assert not any(faults), "\n".join(fault for fault in faults if fault)
