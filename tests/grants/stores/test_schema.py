"""The schema that the migrations make, and files with another one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.schema import metadata
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.store import ALICE, NOW, POLICY

OLD = "schema version 0007, from before the first release; this pgjit reads v3."
UNKNOWN = "schema version 9999, which this pgjit does not know; it reads v3."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "windows.sqlite3"


def _schema(path: Path) -> dict[str, str]:
    """Tables and indexes by name, as SQLite keeps their definitions, without Alembic's own."""
    with sqlite3.connect(path) as direct:
        rows = direct.execute("SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL")
        definitions = {name: " ".join(sql.split()) for name, sql in rows}
    direct.close()
    return {name: sql for name, sql in definitions.items() if name not in ("alembic_version", "sqlite_sequence")}


async def test_the_migrations_make_the_schema_of_the_metadata(path: Path, tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    await store.close()
    directly = tmp_path / "directly.sqlite3"
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(directly)))
    metadata.create_all(engine)
    engine.dispose()
    assert _schema(path) == _schema(directly)


async def test_a_store_is_opened_again_as_it_is(path: Path) -> None:
    for first in (True, False):
        store = SqlStore(SqliteDatabase(path))
        await store.open()
        assert (await store.admit(ALICE, POLICY, NOW))[1] is first
        await store.close()


@pytest.mark.parametrize(("version", "detail", "hint"), [
    ("0007", OLD,
     "Start and stop the version that wrote it. Then move the file away: the journal restores the windows."),
    ("9999", UNKNOWN, "Start the version of pgjit that wrote it, or a later one."),
])  # fmt: skip
async def test_a_file_of_another_version_is_refused_and_not_touched(
    path: Path, version: str, detail: str, hint: str
) -> None:
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    await store.close()
    with sqlite3.connect(path) as direct:
        direct.execute("UPDATE alembic_version SET version_num = ?", (version,))
    direct.close()
    before = _schema(path)
    for _ in range(2):  # the first refusal has released the file
        with pytest.raises(ServerUnavailable) as refused:
            await store.open()
        assert refused.value.reference == "store-version-unknown"
        assert refused.value.detail == f"{path} has {detail}"
        assert refused.value.hint == hint
    assert _schema(path) == before
