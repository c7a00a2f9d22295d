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
from tests.e2e.worlds import POLICIES, READERS, WRITERS, open_world, records
from tests.run.journal_text import journal_lines

SECTIONS = {
    "columns": "record: true\nredact:\n  columns: [public.customers.email]\n",
    "patterns": "record: true\nredact:\n  patterns: ['s3cr3t']\n",
}
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
async def redacting(database: DemoDatabase, folder: Path) -> AsyncIterator[World]:
    """With a policy for each section."""
    policies = folder / "policies"
    policies.mkdir()
    text = (POLICIES / "reader.yaml").read_text("utf-8")
    for group, (name, section) in zip((READERS, WRITERS), SECTIONS.items(), strict=True):
        own = text.replace("policy: reader\n", f"policy: {name}\n").replace("record: true\n", section)
        (policies / f"{name}.yaml").write_text(own.replace(READERS, group), "utf-8")
    async with open_world(database, folder, policies=policies) as world:
        yield world


async def use(world: World, token: str, policy: str) -> None:
    async with await connect_psycopg(world, token, policy) as connection:
        for sql, values in REVEALING:
            with contextlib.suppress(psycopg.Error):
                await connection.execute(sql, values)
    client = await connect_asyncpg(world, token, policy)
    assert await client.fetch("SELECT id FROM customers WHERE email = $1 AND id = $2", "s3cr3t", 7) == []
    await client.close()
    said = await psql(world, token, policy, "SELECT count(*) FROM customers WHERE email = 's3cr3t'")
    assert said.out.strip() == "0"


async def test_no_redacted_value_is_in_the_journal_or_the_log(
    database: DemoDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with redacting(database, tmp_path) as world:
        token = await world.token(world.emulator.add_app("both", groups=[READERS, WRITERS]))
        for policy in SECTIONS:
            await use(world, token, policy)
            ran = [each for each in records(world, "execution") if each["policy"] == policy]
            assert len(ran) >= len(REVEALING) + 2
            bound = next(each for each in ran if each.get("parameters") and "id = $2" in str(each["statement"]))
            assert bound["parameters"] == {"values": [{"redacted": "parameters/1"}, "7"]}
        assert "s3cr3t" not in "".join(json.dumps(each) for each in records(world))
        assert "s3cr3t" not in caplog.text
        stated = "SELECT name FROM customers WHERE email = '[redacted 1]' AND id = 7"
        (line,) = [each for each in journal_lines(world.journal) if f'"statement":"{stated}"' in each]
        members = redacted_members(line.encode())
        salts = member_salts(world.journal, members)
        assert salts is not None
        assert members.holds("statement/1", salts["statement/1"], "s3cr3t")
    config = tmp_path / "pgjit.yaml"
    config.write_text(f"journal: {{folder: {world.journal}}}\n")
    assert run(["audit", "verify", "--config", str(config)]) == Status.OK
