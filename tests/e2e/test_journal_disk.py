"""The journal's place fails under a session: statements are refused with 58030, and work goes on later.

The journal is signed meanwhile: what was signed is on record elsewhere, and each log verifies against it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import read_checkpoints
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.key_file import default_key_path, verifier_key
from pgjit.audit.proof.verification import JournalVerification, verify
from pgjit.audit.segments import list_segments
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_reader, open_world
from tests.run.journal_text import journal_records
from tests.run.waiting import until, until_it_holds

Connection = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", place],
        capture_output=True,
        check=False,
        timeout=60,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let tests mount a disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True, timeout=60)


def open_signed(database: DemoDatabase, folder: Path, journal: Path) -> World:
    """Signs ten times a second, and sends checkpoints to the folder `kept`."""
    kept = folder / "kept"
    kept.mkdir()
    checkpoint = {"every_seconds": 0.1, "send": {"kept": {"kind": "folder", "folder": str(kept)}}}
    section = {"folder": str(journal), "durability": "synced", "space_warn_bytes": 0, "checkpoint": checkpoint}
    return open_world(database, folder, config={"journal": section})


def kept_sizes(folder: Path, origin: str) -> list[int]:
    """The sizes of the checkpoints that were sent of this log."""
    sent = (signed for file in (folder / "kept").iterdir() for _, signed in read_checkpoints(file))
    return [
        each.checkpoint.size
        for each in sent
        if isinstance(each, SignedCheckpoint) and each.checkpoint.origin == origin
    ]


def verified(journal: Path, kept: Path, key: Path) -> JournalVerification:
    files = JournalFiles([journal])
    assert files.origin is not None
    given = [
        (place, each)
        for file in kept.iterdir()
        for place, each in read_checkpoints(file)
        if not isinstance(each, SignedCheckpoint) or each.checkpoint.origin == files.origin
    ]
    return verify(files, files.origin, [verifier_key(str(key), files.origin)], given, processes=1)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """No permission to write there, for root neither: the same folder, mounted over itself."""
    subprocess.run(["mount", "-o", "bind,ro", folder, folder], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True, timeout=60)


async def refused(connection: Connection, text: str) -> None:
    with pytest.raises(psycopg.errors.IoError, match="could not be recorded") as found:
        await connection.execute(text.encode())
    assert found.value.sqlstate == "58030"


async def accepted(connection: Connection, text: str) -> bool:
    """No log begins while the one before it is still being flushed."""
    try:
        await connection.execute(text.encode())
    except psycopg.errors.IoError:
        return False
    return True


def run_in(journal: Path) -> list[str]:
    return [str(each["statement"]) for each in journal_records(journal) if each["type"] == "execution"]


async def test_a_session_outlives_a_full_disk_and_a_lost_permission(
    database: DemoDatabase, tmp_path: Path, small_disk: Path
) -> None:
    journal = small_disk / "journal"
    long = f"SELECT 'long {'x' * 8192}'"
    async with logging_all(database) as log:
        async with (
            open_signed(database, tmp_path, journal) as world,
            await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection,
        ):
            await connection.execute("SELECT 'first'")
            filler = fill(small_disk)
            await refused(connection, long)
            filler.unlink()
            await connection.execute(long.encode())

            with read_only(journal):
                await refused(connection, "SELECT 'not permitted'")
                with pytest.raises(psycopg.OperationalError, match="could not be recorded"):
                    await connect_psycopg(world, await world.token(add_reader(world)), "reader")
            await connection.execute("SELECT 'permitted'")
        backends = log.backends().values()
    assert run_in(journal) == ["SELECT 'first'", long, "SELECT 'permitted'"]
    ran = [each.text for backend in backends for each in backend.ran]
    assert ran.count(long) == ran.count("SELECT 'permitted'") == 1
    assert "SELECT 'not permitted'" not in ran
    found = verified(journal, tmp_path / "kept", default_key_path(journal))
    assert found.findings == ()
    assert found.signed == found.lines == len(journal_records(journal))


async def test_a_session_outlives_a_folder_that_is_away_and_one_that_is_removed(
    database: DemoDatabase, tmp_path: Path
) -> None:
    journal, away = tmp_path / "of-world", tmp_path / "away"
    async with (
        open_signed(database, tmp_path, journal) as world,
        await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection,
    ):
        journal.rename(away)
        await refused(connection, "SELECT 'away'")
        away.rename(journal)
        await connection.execute("SELECT 'back'")
        assert len(list_segments(journal)) == 1
        before = journal_records(journal)
        origin = (journal / "origin").read_text().strip()
        await until(lambda: max(kept_sizes(tmp_path, origin), default=0) >= len(before))

        journal.rename(away)
        await refused(connection, "SELECT 'removed'")
        await refused(connection, "SELECT 'removed'")
        journal.mkdir()
        assert await until_it_holds(lambda: accepted(connection, "SELECT 'anew'"))
    replaced, *_ = after = journal_records(journal)
    assert replaced["type"] == "journal.replaced"
    assert replaced["seq"] > before[-1]["seq"]
    assert run_in(away) == ["SELECT 'back'"]
    assert run_in(journal) == ["SELECT 'anew'"]
    # Each of the two logs is signed, the new one to its end.
    for folder, lines in ((away, len(before)), (journal, len(after))):
        found = verified(folder, tmp_path / "kept", default_key_path(journal))
        assert found.findings == ()
        assert found.signed >= lines
