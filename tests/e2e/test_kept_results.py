"""Under `record: results` the rows that a client received are kept, as they were, up to the caps."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgjit.audit.results.stored_results import read_result
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.worlds import POLICIES, READERS, WRITERS, ask, open_world, records

RESULTS = "record: results\nresults: {rows: 100, bytes: 64kB}\n"
REDACTED = f"{RESULTS}redact:\n  columns: [public.customers.email]\n  patterns: ['[0-9]{{13,16}}']\n"


@contextlib.asynccontextmanager
async def keeping(database: DemoDatabase, folder: Path) -> AsyncIterator[World]:
    """With the policies `keeping` and `redacting`."""
    policies = folder / "policies"
    policies.mkdir()
    text = (POLICIES / "reader.yaml").read_text("utf-8")
    for name, group, section in (("keeping", READERS, RESULTS), ("redacting", WRITERS, REDACTED)):
        own = text.replace("policy: reader\n", f"policy: {name}\n").replace("record: true\n", section)
        (policies / f"{name}.yaml").write_text(own.replace(READERS, group), "utf-8")
    async with open_world(database, folder, policies=policies) as world:
        yield world


async def test_what_a_client_receives_is_kept_before_and_found_afterwards(
    database: DemoDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One world for all tests of this file: each looks for the result of its own execution."""
    async with keeping(database, tmp_path) as world:
        token = await world.token(world.emulator.add_app("both", groups=[READERS, WRITERS]))
        await pass_on_nothing_that_is_not_kept(world, token)
        await keep_rows_as_they_were_received(world, token)
        await leave_out_redacted_columns(
            world, token, str(await ask(database, "SELECT email FROM customers WHERE id = 1"))
        )
        last = [each for each in records(world, "outcome") if "result" in each][-1]
    show_and_verify(world, str(last["execution"]), tmp_path, capsys)


def results(world: World, since: int = 0) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The reference of each result that was kept after record `since`, and the result."""
    found: list[Any] = [
        each["result"] for each in records(world, "outcome") if "result" in each and int(str(each["seq"])) > since
    ]
    return [(each, read_result([world.journal], each)) for each in found]


async def pass_on_nothing_that_is_not_kept(world: World, token: str) -> None:
    async with await connect_psycopg(world, token, "keeping") as connection:
        for number in range(len(records(world)), len(records(world)) + 8):
            (world.journal / f"{number:020}.results").mkdir()
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 'unkept'")
    (outcome,) = [each for each in records(world, "outcome") if "result" in each]
    assert outcome["result"] == {"kept": False}
    before = len(records(world, "execution"))
    with pytest.raises(psycopg.OperationalError):
        async with await connect_psycopg(world, token, "keeping") as connection:
            await connection.execute("SELECT 'unkept'")
    assert len(records(world, "execution")) == before
    for path in world.journal.glob("*.results"):
        path.rmdir()


async def keep_rows_as_they_were_received(world: World, token: str) -> None:
    since = len(records(world))
    said = await psql(world, token, "keeping", "SELECT 7 AS n, 'größe' AS t, NULL AS nothing; SELECT 1 WHERE false")
    assert said.out == "7|größe|\n"
    client = await connect_asyncpg(world, token, "keeping")
    assert [tuple(row) for row in await client.fetch("SELECT $1::int AS a, 'x' AS b", 5)] == [(5, "x")]
    assert len(await client.fetch("SELECT g, repeat('y', 10) FROM generate_series(1, 250) g")) == 250
    await client.close()
    async with await connect_psycopg(world, token, "keeping") as connection:
        big = await (await connection.execute("SELECT repeat('z', 40000) FROM generate_series(1, 5)")).fetchall()
        assert [len(str(row[0])) for row in big] == [40000] * 5
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 10 / (3 - g) FROM generate_series(1, 5) g")
        async with connection.cursor().copy("COPY (SELECT 1, 'c') TO STDOUT") as copy:
            assert [row async for row in copy.rows()] == [("1", "c")]
    one, bound, many, long, *_, copied = results(world, since)
    assert one[1]["columns"] == [
        {"name": "n", "type": "int4"}, {"name": "t", "type": "text"}, {"name": "nothing", "type": "text"},
    ]  # fmt: skip
    assert one[1]["rows"] == [["7", "größe", None]]
    assert bound[1]["rows"] == [[5, "x"]]
    assert bound[1]["columns"] == [{"name": "a", "type": "int4"}, {"name": "b", "type": "text"}]
    assert (many[0]["rows"], many[0]["truncated"], len(many[1]["rows"])) == (100, True, 100)
    assert many[1]["rows"][99] == [100, "y" * 10]
    assert (long[0]["rows"], long[0]["truncated"]) == (1, True)
    assert copied[1] == {
        "execution": copied[1]["execution"],
        "columns": [{"name": "copy", "type": "text"}],
        "rows": [["1\tc\n"]],
    }
    assert "truncated" not in one[0]


async def leave_out_redacted_columns(world: World, token: str, email: str) -> None:
    since = len(records(world))
    async with await connect_psycopg(world, token, "redacting") as connection:
        for sql in (
            "SELECT id, email, lower(email) FROM customers WHERE id = 1",
            "SELECT email AS id FROM customers WHERE id = 1",
            "SELECT count(*) FROM orders WHERE id = 1",
            "SELECT '4111111111111111 x', 'y'",
            "SELECT c FROM customers c WHERE id = 1",
            "COPY (SELECT email FROM customers WHERE id = 1) TO STDOUT",
        ):
            if sql.startswith("COPY"):
                async with connection.cursor().copy(sql) as copy:
                    assert [row async for row in copy.rows()] == [(email,)]
            else:
                assert await (await connection.execute(sql)).fetchall()
    hidden = "[redacted]"
    assert [result["rows"] for _, result in results(world, since)] == [
        [["1", hidden, hidden]], [[hidden]], [["1"]], [[hidden, "y"]], [[hidden]], [[hidden]],
    ]  # fmt: skip
    first = results(world, since)[0][1]["columns"]
    assert [column.get("redacted", False) for column in first] == [False, True, True]
    assert email not in "".join(path.read_text("utf-8") for path in world.journal.glob("*.results"))


def show_and_verify(world: World, execution: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "pgjit.yaml"
    config.write_text(f"journal: {{folder: {world.journal}}}\n")
    asked = ["--config", str(config)]
    assert run(["audit", "show", execution, *asked, "--cache", str(folder / "cache")]) == Status.OK
    shown = capsys.readouterr().out
    assert "1 rows are kept" in shown
    assert "[redacted]" in shown
    assert run(["audit", "verify", *asked]) == Status.OK
    (file,) = world.journal.glob("*.results")
    file.write_bytes(file.read_bytes().replace(b"[redacted]", b"[modified]"))
    assert run(["audit", "verify", *asked]) == Status.FAILED
    found = capsys.readouterr().out
    assert "result-differs: the kept result of execution" in found
    file.unlink()
    assert run(["audit", "verify", *asked]) == Status.FAILED
    assert f"{file.name} is not there" in capsys.readouterr().out
    assert run(["audit", "show", execution, *asked, "--cache", str(folder / "cache")]) == Status.OK
    assert "is not there" in capsys.readouterr().out
