"""What DBeaver, pgAdmin, DataGrip, Metabase, Grafana, Superset and DuckDB ask is answered as by the server.

Each file of statements is run by the same login directly and through pgjit under `access: read-only`, and the rows
are compared. What is refused has its rule and its reason beside it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.sql.parse import read_message
from tests.e2e.contrib import CONTRIB, serve_contrib
from tests.e2e.everyday import direct_conninfo, open_everyday, prepare_everyday
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader

STATEMENTS = Path(__file__).parents[1] / "fixtures" / "tools"
CLIENTS = Path(__file__).parents[2] / "docs" / "clients.md"
TOOLS = {
    "dbeaver": "DBeaver", "pgadmin": "pgAdmin", "datagrip": "DataGrip", "metabase": "Metabase",
    "grafana": "Grafana", "superset": "Superset", "duckdb": "DuckDB",
}  # fmt: skip
_REFUSED = re.compile(r"^-- refused by ([a-z-]+): \S", re.MULTILINE)
_VALUES = re.compile(r"^-- with (.+)", re.MULTILINE)
_COLUMNS_ONLY = re.compile(r"^-- columns only: \S", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    sql: str  # with its comments: tools send such, too
    refused: str | None
    values: str | None
    columns_only: bool

    @property
    def ways(self) -> tuple[str, ...]:
        if self.values is not None:
            return ("extended",)
        return ("simple",) if len(read_message(self.sql).statements) > 1 else ("simple", "extended")


def statements_of(tool: str) -> list[Asked]:
    found = []
    for paragraph in (STATEMENTS / f"{tool}.sql").read_text("utf-8").strip().split("\n\n"):
        refused, values = _REFUSED.search(paragraph), _VALUES.search(paragraph)
        found.append(
            Asked(
                paragraph,
                refused[1] if refused else None,
                values[1] if values else None,
                _COLUMNS_ONLY.search(paragraph) is not None,
            )
        )
    return found


def ask(line: Line, asked: Asked, way: str, values: list[bytes | None] | None) -> list[pq.abc.PGresult]:
    return line.simple(asked.sql) if way == "simple" else line.extended(asked.sql, values)


def answer(results: list[pq.abc.PGresult], *, columns_only: bool) -> list[object]:
    """The columns of each result with their types, and its rows, sorted; the SQLSTATE of an error."""
    told: list[object] = []
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            told.append(result.error_field(pq.DiagnosticField.SQLSTATE))
            continue
        columns = [(result.fname(at), result.ftype(at)) for at in range(result.nfields)]
        rows = [[result.get_value(row, at) for at in range(result.nfields)] for row in range(result.ntuples)]
        told.append((columns,) if columns_only else (columns, sorted(rows, key=repr), result.command_status))
    return told


def faults_in(tool: str, line: Line, direct: Line) -> list[str]:
    return [fault for asked in statements_of(tool) for fault in faults_of(asked, line, direct)]


def faults_of(asked: Asked, line: Line, direct: Line) -> Iterator[str]:
    """What is not as it has to be."""
    values: list[bytes | None] | None = None
    if asked.values is not None:
        (found,) = direct.simple(f"SELECT {asked.values}")
        assert found.status == pq.ExecStatus.TUPLES_OK, found.error_message
        values = [found.get_value(0, at) for at in range(found.nfields)]
    for way in asked.ways:
        through = ask(line, asked, way, values)
        refused = refusal(through)
        if (refused and refused[1]) != (asked.refused and f"pgjit:{asked.refused}"):
            yield f"{asked.sql}\n({way}): refused as {refused}, and not by {asked.refused}"
        if asked.refused is not None:
            continue
        wanted = ask(direct, asked, way, values)
        (failed, *_) = [one.error_message for one in wanted if one.status == pq.ExecStatus.FATAL_ERROR] or [b""]
        if failed:
            yield f"{asked.sql}\n({way}): not even the server takes it: {failed!r}"
        told, right = (answer(results, columns_only=asked.columns_only) for results in (through, wanted))
        if told != right or line.copied != direct.copied:
            yield f"{asked.sql}\n({way}): {told}\nand not {right}"


@pytest.fixture(scope="module", params=CONTRIB)
def shop(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    with serve_contrib(request.param, "pgjit-ts-", prepare_everyday) as served:
        yield served


async def test_what_a_tool_asks_by_itself_has_the_servers_own_rows(shop: DemoDatabase, tmp_path: Path) -> None:
    faults = []
    async with open_everyday(shop, tmp_path) as world:
        for tool in TOOLS:
            line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
            direct = await asyncio.to_thread(Line, direct_conninfo(shop))
            await asyncio.to_thread(direct.simple, "SET default_transaction_read_only = on; SET search_path = public")
            faults += [f"{tool}: {fault}" for fault in await asyncio.to_thread(faults_in, tool, line, direct)]
            line.close()
            direct.close()
    assert not faults, "\n\n".join(faults)


def copy_of_both(first: Line, second: Line) -> tuple[bytes, bytes]:
    """What DuckDB's scanner does with two threads: one exports its snapshot, the other reads in it."""
    begin, part = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", []
    first.simple(begin)
    (exported,) = first.simple("SELECT pg_is_in_recovery(), pg_export_snapshot()")
    assert exported.status == pq.ExecStatus.TUPLES_OK, exported.error_message
    snapshot = exported.get_value(0, 1) or b""
    second.simple(begin)
    (taken,) = second.simple(b"SET TRANSACTION SNAPSHOT '" + snapshot + b"'")
    assert taken.status == pq.ExecStatus.COMMAND_OK, taken.error_message
    for line in (first, second):
        line.simple('COPY (SELECT "id", "placed" FROM "app"."orders" ORDER BY id) TO STDOUT (FORMAT "binary")')
        part.append(line.copied)
        line.simple("COMMIT")
    return part[0], part[1]


async def test_a_switch_of_the_policy_lets_the_scanner_of_duckdb_read_with_several_threads(
    shop: DemoDatabase, tmp_path: Path
) -> None:
    administrator = await asyncio.to_thread(Line.direct, shop)
    await asyncio.to_thread(administrator.simple, f"GRANT EXECUTE ON FUNCTION pg_export_snapshot TO {shop.user}")
    async with open_everyday(shop, tmp_path, rules={"exported-snapshots": False}) as world:
        token = await world.token(add_reader(world))
        first = await asyncio.to_thread(Line.through, world, token)
        second = await asyncio.to_thread(Line.through, world, token)
        third = await asyncio.to_thread(Line, direct_conninfo(shop))
        fourth = await asyncio.to_thread(Line, direct_conninfo(shop))
        through = await asyncio.to_thread(copy_of_both, first, second)
        assert through == await asyncio.to_thread(copy_of_both, third, fourth)
        assert through[0] == through[1]
        assert len(through[0]) > 1000
        for line in (administrator, first, second, third, fourth):
            line.close()


def test_each_of_them_has_its_row_in_the_documentation() -> None:
    text = CLIENTS.read_text("utf-8")
    assert {name for name in TOOLS.values() if re.search(rf"^\| {name} ", text, re.MULTILINE)} == {*TOOLS.values()}


def test_each_file_of_statements_is_of_a_tool() -> None:
    assert {path.stem for path in STATEMENTS.glob("*.sql")} == set(TOOLS)
