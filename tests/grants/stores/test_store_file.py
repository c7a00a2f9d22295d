"""One process holds the store's file, and grants nothing into a file that is gone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.stores.store_file import StoreFile
from tests.contracts.store import ALICE, NOW, POLICY

_TAKE = """
import sys
from pathlib import Path
from pgjit.grants.stores.store_file import StoreFile
StoreFile(Path(sys.argv[1])).take()
"""


def _take_elsewhere(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _TAKE, str(path)], capture_output=True, text=True, timeout=60)


async def test_a_second_store_on_the_file_is_refused_and_names_the_process_that_holds_it(tmp_path: Path) -> None:
    first, second = (SqlStore(SqliteDatabase(tmp_path / "w.sqlite3")) for _ in range(2))
    await first.open()
    with pytest.raises(ServerUnavailable) as refused:
        await second.open()
    assert refused.value.detail == f"another pgjit (process {os.getpid()}) uses {tmp_path}/w.sqlite3"
    assert (await first.admit(ALICE, POLICY, NOW))[1]
    await first.close()
    await second.open()
    assert not (await second.admit(ALICE, POLICY, NOW))[1]
    await second.close()


def test_another_process_is_refused_until_the_lock_is_given_back(tmp_path: Path) -> None:
    file = StoreFile(tmp_path / "w.sqlite3")
    file.take()
    refused = _take_elsewhere(file.path)
    assert refused.returncode == 1
    assert f"another pgjit (process {os.getpid()}) uses" in refused.stderr
    file.release()
    assert _take_elsewhere(file.path).returncode == 0


def test_an_open_that_fails_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "w.sqlite3").mkdir()
    file = StoreFile(tmp_path / "w.sqlite3")
    with pytest.raises(OSError, match="directory"):
        file.take()
    (tmp_path / "w.sqlite3").rmdir()
    assert _take_elsewhere(file.path).returncode == 0


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.rename(path.with_name("aside"))
    sqlite3.connect(path).close()


def _put_back_an_older_one(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize(
    ("change", "what"), [(_delete, "removed"), (_replace, "removed|replaced"), (_put_back_an_older_one, "replaced")]
)
async def test_nothing_is_granted_into_a_file_that_is_gone(
    tmp_path: Path, change: Callable[[Path], None], what: str
) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "w.sqlite3"))
    await store.open()
    change(tmp_path / "w.sqlite3")
    for _ in range(2):
        with pytest.raises(ServerUnavailable) as refused:
            await store.admit(ALICE, POLICY, NOW)
        assert refused.value.reference == "store-unavailable"
        assert any(f"was {each} while pgjit was using it" in str(refused.value.detail) for each in what.split("|"))
    await store.close()


async def test_what_is_deleted_within_a_transaction_is_not_granted(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "w.sqlite3"))
    await store.open()
    with pytest.raises(ServerUnavailable):
        await store._transaction(lambda _: (tmp_path / "w.sqlite3").unlink())
    await store.close()
