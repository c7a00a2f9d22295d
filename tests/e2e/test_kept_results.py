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
from tests.e2e.worlds import POLICIES, add_reader, ask, open_world, records

RESULTS = "record: results\nresults: {rows: 100, bytes: 64kB}\n"
REDACTED = f"{RESULTS}redact:\n  columns: [public.customers.email]\n  patterns: ['[0-9]{{13,16}}']\n"


@contextlib.asynccontextmanager
async def keeping(database: DemoDatabase, folder: Path, section: str) -> AsyncIterator[World]:
    policies = folder / "policies"
    policies.mkdir()
    text = (POLICIES / "reader.yaml").read_text("utf-8")
    (policies / "reader.yaml").write_text(text.replace("record: true\n", section), "utf-8")
    async with open_world(database, folder, policies=policies) as world:
        yield world


def results(world: World) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The reference of each kept result, and the result."""
    found: list[Any] = [each["result"] for each in records(world, "outcome") if "result" in each]
    return [(each, read_result([world.journal], each)) for each in found]


async def test_rows_are_kept_as_the_client_received_them(database: DemoDatabase, tmp_path: Path) -> None:
    async with keeping(database, tmp_path, RESULTS) as world:
        token = await world.token(add_reader(world))
        said = await psql(
            world, token, "reader", "SELECT 7 AS n, 'größe' AS t, NULL AS nothing; SELECT 1 WHERE false"
        )
        assert said.out == "7|größe|\n"
        client = await connect_asyncpg(world, token, "reader")
        assert [tuple(row) for row in await client.fetch("SELECT $1::int AS a, 'x' AS b", 5)] == [(5, "x")]
        assert len(await client.fetch("SELECT g, repeat('y', 10) FROM generate_series(1, 250) g")) == 250
        await client.close()
        async with await connect_psycopg(world, token, "reader") as connection:
            big = await (await connection.execute("SELECT repeat('z', 40000) FROM generate_series(1, 5)")).fetchall()
            assert [len(str(row[0])) for row in big] == [40000] * 5
            with pytest.raises(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 10 / (3 - g) FROM generate_series(1, 5) g")
            async with connection.cursor().copy("COPY (SELECT 1, 'c') TO STDOUT") as copy:
                assert [row async for row in copy.rows()] == [("1", "c")]
        one, bound, many, long, *_, copied = results(world)
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
        assert "größe" not in (world.journal / f"{0:020}.jsonl").read_text("utf-8").split('"outcome"')[1]


async def test_redacted_columns_and_those_of_unknown_origin_are_left_out(
    database: DemoDatabase, tmp_path: Path
) -> None:
    email = str(await ask(database, "SELECT email FROM customers WHERE id = 1"))
    async with keeping(database, tmp_path, REDACTED) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
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
        assert [result["rows"] for _, result in results(world)] == [
            [["1", hidden, hidden]], [[hidden]], [["1"]], [[hidden, "y"]], [[hidden]], [[hidden]],
        ]  # fmt: skip
        first = results(world)[0][1]["columns"]
        assert [column.get("redacted", False) for column in first] == [False, True, True]
        assert email not in "".join(path.read_text("utf-8") for path in world.journal.glob("*.results"))


async def test_a_result_that_cannot_be_kept_is_not_passed_on(database: DemoDatabase, tmp_path: Path) -> None:
    async with keeping(database, tmp_path, RESULTS) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
            for number in range(2, 9):
                with contextlib.suppress(FileExistsError):
                    (world.journal / f"{number:020}.results").mkdir()
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 'unkept'")
        (outcome,) = [each for each in records(world, "outcome") if "result" in each]
        assert outcome["result"] == {"kept": False}
        with pytest.raises(psycopg.OperationalError):
            async with await connect_psycopg(world, token, "reader") as connection:
                await connection.execute("SELECT 'unkept'")
        before = len(records(world, "execution"))
        for path in world.journal.glob("*.results"):
            path.rmdir()
        async with await connect_psycopg(world, token, "reader") as connection:
            assert await (await connection.execute("SELECT 'kept'")).fetchall() == [("kept",)]
        assert len(records(world, "execution")) == before + 1


async def test_a_kept_result_is_shown_and_a_changed_one_is_found(
    database: DemoDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with keeping(database, tmp_path, RESULTS) as world:
        token = await world.token(add_reader(world))
        assert (await psql(world, token, "reader", "SELECT 7 AS n, 'secret word' AS t")).status == 0
        (outcome,) = [each for each in records(world, "outcome") if "result" in each]
    config = tmp_path / "pgjit.yaml"
    config.write_text(f"journal: {{folder: {world.journal}}}\n")
    asked = ["--config", str(config)]
    assert run(["audit", "show", str(outcome["execution"]), *asked, "--cache", str(tmp_path / "cache")]) == Status.OK
    shown = capsys.readouterr().out
    assert "secret word" in shown
    assert "1 rows are kept" in shown
    assert run(["audit", "verify", *asked]) == Status.OK
    (file,) = world.journal.glob("*.results")
    file.write_bytes(file.read_bytes().replace(b"secret word", b"another one"))
    assert run(["audit", "verify", *asked]) == Status.FAILED
    found = capsys.readouterr().out
    assert "result-differs: the kept result of execution" in found
    file.unlink()
    assert run(["audit", "verify", *asked]) == Status.FAILED
    assert f"{file.name} is not there" in capsys.readouterr().out
    assert run(["audit", "show", str(outcome["execution"]), *asked, "--cache", str(tmp_path / "cache")]) == Status.OK
    assert "is not there" in capsys.readouterr().out
