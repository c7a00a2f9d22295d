from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.policy.identity_terms import IdentityTerms
from tests.contracts.store import ALICE, BOB, HOUR, NOW, POLICY, login
from tests.run.processes import own


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "100% windows.sqlite3"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    yield store
    await store.close()


_CHILD = """
import asyncio, sys
from pathlib import Path
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.store import ALICE, NOW, POLICY

async def main() -> None:
    store = SqlStore(SqliteDatabase(Path(sys.argv[1]), shared=True))
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    window, opened = await store.admit(ALICE, POLICY, NOW)
    print(window.id, opened, flush=True)
    sys.stdin.readline()  # ended here by a signal: no close, no atexit

asyncio.run(main())
"""
_ROOT = Path(__file__).parents[3]


def _child(path: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return own(sys.executable, "-c", _CHILD, str(path), stdin=subprocess.PIPE, cwd=_ROOT, env=environment)


def _say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def _hear(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.live
async def test_processes_that_start_at_once_open_one_window_and_a_kill_does_not_lose_it(path: Path) -> None:
    with ExitStack() as owned:
        children = [owned.enter_context(_child(path)) for _ in range(3)]
        assert [_hear(child) for child in children] == ["ready"] * 3
        for child in children:
            _say(child)
        answers = [_hear(child).split() for child in children]
        assert sorted(opened for _, opened in answers) == ["False", "False", "True"]
        assert len({window_id for window_id, _ in answers}) == 1
    # Leaving that killed them.
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    window, opened = await store.admit(ALICE, POLICY, NOW)
    await store.close()
    assert (window.id, opened) == (answers[0][0], False)


async def test_nobody_else_can_read_the_file(opened: SqlStore, path: Path) -> None:
    await opened.admit(ALICE, POLICY, NOW)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


async def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.touch(mode=0o644)
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    await store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_commits_are_on_the_disk_and_readers_do_not_block(opened: SqlStore) -> None:
    found = await opened._transaction(
        lambda connection: [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    )
    assert found == ["wal", 2, 5000]


async def test_a_database_that_fails_admits_nobody_and_recovers(opened: SqlStore, path: Path) -> None:
    with sqlite3.connect(path) as direct:
        direct.execute("ALTER TABLE windows RENAME TO gone")
    with pytest.raises(ServerUnavailable) as caught:
        await opened.admit(ALICE, POLICY, NOW)
    assert caught.value.reference == "store-unavailable"
    assert caught.value.detail == "no such table: windows"
    with pytest.raises(ServerUnavailable):
        await opened.end("w_1", NOW, "ttl")
    with sqlite3.connect(path) as direct:
        direct.execute("ALTER TABLE gone RENAME TO windows")
    direct.close()
    assert (await opened.admit(ALICE, POLICY, NOW))[1]


async def test_what_fails_half_way_leaves_nothing(opened: SqlStore, path: Path) -> None:
    with sqlite3.connect(path) as direct:
        direct.execute("CREATE TRIGGER t AFTER INSERT ON windows BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    direct.close()
    with pytest.raises(ServerUnavailable, match="window store cannot be used"):
        await opened.admit(ALICE, POLICY, NOW)
    assert await opened.clock_floor() is None


async def test_a_cancelled_admit_leaves_the_store_usable(opened: SqlStore) -> None:
    task = asyncio.create_task(opened.admit(BOB, POLICY, NOW))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await opened.admit(ALICE, POLICY, NOW))[1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE windows SET ends_at = ends_at + 1",
        "UPDATE windows SET retry_at = retry_at + 1",
        "UPDATE windows SET opened_at = opened_at - 1",
        "UPDATE windows SET oid = 'someone-else'",
        "UPDATE windows SET policy = 'another'",
    ],
)
async def test_the_database_itself_refuses_to_change_a_granted_window(
    opened: SqlStore, path: Path, change: str
) -> None:
    await opened.admit(ALICE, POLICY, NOW)
    direct = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="a granted window does not change"):
        direct.execute(change)
    direct.close()


async def test_the_database_itself_refuses_to_move_an_end(opened: SqlStore, path: Path) -> None:
    window, _ = await opened.admit(ALICE, POLICY, NOW)
    await opened.end(window.id, NOW + HOUR, "ttl")
    direct = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="a granted window does not change"):
        direct.execute("UPDATE windows SET ended_at = NULL, end_reason = NULL")
    direct.close()


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "none/windows.sqlite3"))
    with pytest.raises(ServerUnavailable) as caught:
        await store.open()
    assert caught.value.reference == "store-unavailable"
    assert "No such file or directory" in str(caught.value.detail)


async def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    path.write_text("not a database, but dear to someone\n" * 100)
    with pytest.raises(ServerUnavailable) as caught:
        await SqlStore(SqliteDatabase(path)).open()
    assert caught.value.detail == "file is not a database"
    assert path.read_text().startswith("not a database")


async def test_tokens_that_are_long_over_are_forgotten(opened: SqlStore) -> None:
    once = replace(POLICY, identity=IdentityTerms(single_use_token=True))
    for number in range(5):
        await opened.admit(ALICE, once, NOW, login(token=f"t{number}"))
    await opened.admit(ALICE, once, NOW + 2 * HOUR, login(token="later", ends=NOW + 3 * HOUR))
    assert await _tokens(opened) == 6  # an hour more than they last
    await opened.admit(ALICE, once, NOW + 2 * HOUR + timedelta(seconds=1), login(token="last", ends=NOW + 3 * HOUR))
    assert await _tokens(opened) == 2


async def _tokens(store: SqlStore) -> int:
    return await store._transaction(
        lambda connection: int(connection.exec_driver_sql("SELECT count(*) FROM used_tokens").scalar_one())
    )


async def test_joining_a_window_is_as_many_statements_however_many_joined_before(opened: SqlStore) -> None:
    statements: list[str] = []
    database = opened._database
    assert isinstance(database, SqliteDatabase)
    sa.event.listen(
        database._connection, "before_cursor_execute", lambda _c, _cursor, text, *_: statements.append(text)
    )
    await opened.admit(ALICE, POLICY, NOW)
    counts = []
    for _ in range(20):
        statements.clear()
        await opened.admit(ALICE, POLICY, NOW)
        counts.append(len(statements))
    assert set(counts) == {counts[0]}
    assert counts[0] <= 6


async def test_who_finds_the_store_busy_for_too_long_is_refused_and_does_nothing(
    opened: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    busy = asyncio.create_task(opened._transaction(lambda _: let_go.wait(60)))
    await asyncio.sleep(0)
    monkeypatch.setattr("pgjit.grants.stores.sqlite_database.BUSY_SECONDS", -1)
    waiting = asyncio.create_task(opened.admit(ALICE, POLICY, NOW))
    await asyncio.sleep(0)
    let_go.set()
    assert await busy
    with pytest.raises(ServerUnavailable) as refused:
        await waiting
    assert "busy for too long" in str(refused.value.detail)
    monkeypatch.undo()
    assert await opened.unended() == []


async def test_the_node_that_has_the_file_alone_takes_over_what_other_names_left(tmp_path: Path) -> None:
    before = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3"), node="old")
    await before.open()
    assert await before.begin_node("first", {}) is None
    window, _ = await before.admit(ALICE, POLICY, NOW, None, "an opening")
    await before.put_into_journal_outbox("lock.set", "l_1", "a note")
    await before.close()  # killed: its name was not given back
    after = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3"), node="new")
    await after.open()
    assert await after.begin_node("second", {}) is None
    assert await after.unended(own=True) == [window]
    assert [each.note for each in await after.outbox()] == ["an opening"]
    assert [each.subject for each in await after.journal_outbox()] == ["l_1"]
    assert [node.name for node in await after.nodes()] == ["new"]
    await after.close()
