"""pgjit is killed while agents work: every execution that the server saw has its record, and the journal goes on."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.proof.checkpoint_log import read_checkpoints
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.key_file import default_key_path, private_key
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.verification import JournalVerification, verify
from pgjit.demo.database import DemoDatabase
from tests.e2e.pgjit_elsewhere import PgjitElsewhere
from tests.e2e.same_executions import different_executions, sessions
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_writer, open_world
from tests.run.journal_text import journal_records

pytestmark = pytest.mark.timeout(1800)
Connection = psycopg.AsyncConnection[tuple[object, ...]]
Agent = Callable[[Connection, str], Awaitable[None]]


async def _insert(connection: Connection, tag: str) -> None:
    await connection.execute(f"INSERT INTO notes (note) VALUES ('{tag}')".encode())


async def _pipeline(connection: Connection, tag: str) -> None:
    async with connection.pipeline():
        for number in range(8):
            await connection.execute(f"INSERT INTO notes (note) VALUES ('{tag}-' || %s::int)".encode(), (number,))


async def _copy(connection: Connection, tag: str) -> None:
    async with (
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(f"COPY notes (note) FROM STDIN /* {tag} */".encode()) as copy,
    ):
        for number in range(20):
            await copy.write_row((f"{tag}-{number}",))


AGENTS: tuple[Agent, ...] = (_insert, _pipeline, _copy)


async def _work(connection: Connection, agent: Agent, tag: str, done: asyncio.Semaphore) -> None:
    """Until pgjit is killed."""
    try:
        for number in range(100_000):
            await agent(connection, f"{tag}x{number}x")
            done.release()
    except psycopg.Error:
        return


def verified(journal: Path, kept: Path) -> JournalVerification:
    """Against the checkpoints that were sent away before the kill, too."""
    files = JournalFiles([journal])
    key = VerifierKey.of(str(files.origin), private_key(default_key_path(journal)).public_key().public_bytes_raw())
    sent = (each for file in kept.iterdir() for each in read_checkpoints(file))
    # The other pgjit of the world sends its own there.
    given = [each for each in sent if isinstance(each[1], NoteRejected) or each[1].checkpoint.origin == key.name]
    return verify(files, key.name, [key], given, processes=1)


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
async def test_every_execution_that_the_server_saw_has_its_record(
    database: DemoDatabase, tmp_path: Path, kills: int
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    checkpoint = {"every_seconds": 0.1, "send": {"kept": {"kind": "folder", "folder": str(kept)}}}
    config = {"journal": {"folder": "journal", "segment_bytes": 65_536, "checkpoint": checkpoint}}
    signed = 0
    async with logging_all(database) as log, open_world(database, tmp_path, config=config) as world:
        agent, elsewhere = add_writer(world), PgjitElsewhere(world, "loaded")
        for kill in range(kills):
            token = await world.token(agent)
            async with elsewhere.served() as process:
                connections = [await elsewhere.connect(world, token, "writer", "write-target") for _ in AGENTS]
                done = asyncio.Semaphore(0)
                work = [
                    asyncio.create_task(_work(connection, each, f"t{kill}{number}", done))
                    for number, (connection, each) in enumerate(zip(connections, AGENTS, strict=True))
                ]
                for _ in range(10 + kill * 7 % 90):
                    await done.acquire()
                process.send_signal(signal.SIGKILL)
                async with asyncio.timeout(60):
                    await asyncio.gather(*work)
                for connection in connections:
                    await connection.close()
            found = verified(elsewhere.journal, kept)
            assert found.findings == ()
            assert found.signed >= signed
            signed = found.signed
        async with elsewhere.served():
            records = journal_records(elsewhere.journal)
    assert verified(elsewhere.journal, kept).signed >= len(records)
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    backends = log.backends()
    seen = Counter(ran.text.partition(" ")[0] for backend in backends.values() for ran in backend.ran)
    assert min(seen["INSERT"], seen["COPY"]) >= kills
    assert different_executions(sessions(records), backends) == []
