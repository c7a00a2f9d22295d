"""The journal's place fails under a session: statements are refused with 58030, and work goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.segments import list_segments
from pgjit.demo.database import DemoDatabase
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, open_world
from tests.run.journal_text import journal_records

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let tests mount a disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


async def _refused(connection: psycopg.AsyncConnection, text: str) -> None:
    with pytest.raises(psycopg.errors.IoError, match="could not be recorded"):
        await connection.execute(text.encode())


async def test_a_session_outlives_a_full_disk_and_a_folder_that_is_away(
    database: DemoDatabase, tmp_path: Path, small_disk: Path
) -> None:
    folder = small_disk / "journal"

    config = {"journal": {"folder": str(folder), "durability": "synced", "space_warn_bytes": 0}}
    async with open_world(database, tmp_path, config=config) as world:
        async with await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection:
            await connection.execute("SELECT 'first'")
            filler = _fill(small_disk)
            long = f"SELECT '{'x' * 8192}'"
            await _refused(connection, long)
            filler.unlink()
            await connection.execute(long.encode())

            away = folder.rename(small_disk / "away")
            await _refused(connection, "SELECT 'away'")
            away.rename(folder)
            await connection.execute("SELECT 'back'")
            before = journal_records(folder)
            assert len(list_segments(folder)) == 1

            shutil.rmtree(folder)
            await _refused(connection, "SELECT 'removed'")
            await _refused(connection, "SELECT 'removed'")
            folder.mkdir()
            await connection.execute("SELECT 'anew'")
            replaced, *after = journal_records(folder)
        assert replaced["type"] == "journal.replaced"
        assert replaced["seq"] > before[-1]["seq"]
        statements = [each["statement"] for each in after if each["type"] == "execution"]
        assert statements == ["SELECT 'anew'"]
        run = [each["statement"] for each in before if each["type"] == "execution"]
        assert run == ["SELECT 'first'", long, "SELECT 'back'"]
