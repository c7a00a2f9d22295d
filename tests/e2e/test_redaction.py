"""Under `redact` no redacted value is in the journal, whatever a client does. Proof and commitments hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.redaction.revealing import member_salts, redacted_members
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.worlds import POLICIES, add_reader, open_world, records
from tests.run.journal_text import journal_lines

COLUMNS = "record: true\nredact:\n  columns: [public.customers.email]\n"
PATTERNS = "record: true\nredact:\n  patterns: ['s3cr3t']\n"
REVEALING: list[tuple[str, tuple[str, ...] | None]] = [
    ("SELECT name FROM customers WHERE email = 's3cr3t' AND id = 7 -- s3cr3t", None),
    ("SELECT name FROM customers WHERE email = %s AND id = %s", ("s3cr3t", "7")),
    ("SELECT name FROM (SELECT name, email AS e FROM customers) c WHERE e = 's3cr3t'", None),
    ("PREPARE p(text) AS SELECT id FROM customers WHERE email = $1 OR email = 's3cr3t'", None),
    ("EXECUTE p('s3cr3t')", None),
    ("SELECT ('s3cr3t' || email)::int FROM customers", None),
    ("EXECUTE q('s3cr3t')", None),
    ("selct 's3cr3t'", None),
    ("SELECT nope('s3cr3t')", None),
    ("DELETE FROM customers WHERE email = 's3cr3t'", None),
    ("DECLARE c CURSOR FOR SELECT email FROM customers WHERE email = 's3cr3t'", None),
    ("SELECT email FROM customers WHERE " + "1 + " * 100 + "1 > 0 OR email = 's3cr3t'", None),
]


@contextlib.asynccontextmanager
async def redacting(database: DemoDatabase, folder: Path, section: str) -> AsyncIterator[World]:
    policies = folder / "policies"
    policies.mkdir()
    text = (POLICIES / "reader.yaml").read_text("utf-8")
    assert "record: true\n" in text
    (policies / "reader.yaml").write_text(text.replace("record: true\n", section), "utf-8")
    async with open_world(database, folder, policies=policies) as world:
        yield world


@pytest.mark.parametrize("section", [COLUMNS, PATTERNS], ids=["columns", "patterns"])
async def test_no_redacted_value_is_in_the_journal_or_the_log(
    database: DemoDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture, section: str
) -> None:
    async with redacting(database, tmp_path, section) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
            for sql, values in REVEALING:
                with contextlib.suppress(psycopg.Error):
                    await connection.execute(sql, values)
        client = await connect_asyncpg(world, token, "reader")
        assert await client.fetch("SELECT id FROM customers WHERE email = $1 AND id = $2", "s3cr3t", 7) == []
        await client.close()
        said = await psql(world, token, "reader", "SELECT count(*) FROM customers WHERE email = 's3cr3t'")
        assert said.out.strip() == "0"
        ran = records(world, "execution")
        assert len(ran) >= len(REVEALING) + 2
        assert "s3cr3t" not in "".join(json.dumps(each) for each in records(world))
        assert "s3cr3t" not in caplog.text
        bound = next(each for each in ran if each.get("parameters") and "id = $2" in str(each["statement"]))
        assert bound["parameters"] == {"values": [{"redacted": "parameters/1"}, "7"]}


async def test_a_commitment_is_proved_by_who_knows_the_value(database: DemoDatabase, tmp_path: Path) -> None:
    async with redacting(database, tmp_path, COLUMNS) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
            await connection.execute("SELECT id FROM customers WHERE email = 'a@b.example' AND id = 7")
        (line,) = [each for each in journal_lines(world.journal) if "[redacted 1]" in each]
        members = redacted_members(line.encode())
        salts = member_salts(world.journal, members)
        assert salts is not None
        assert members.holds("statement/1", salts["statement/1"], "a@b.example")
        stated = json.loads(line)["statement"]
        assert stated == "SELECT id FROM customers WHERE email = '[redacted 1]' AND id = 7"
    key = ["--key", str(tmp_path / "journal.pub")] if (tmp_path / "journal.pub").exists() else []
    config = tmp_path / "pgjit.yaml"
    config.write_text(f"journal: {{folder: {world.journal}}}\n")
    assert run(["audit", "verify", "--config", str(config), *key]) == Status.OK
