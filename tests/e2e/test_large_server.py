"""A server with 20,000 tables: the first login gets in, and names resolve."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, open_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_BATCH = 250  # objects of a transaction: each holds a lock
_MANY = {
    "CREATE SCHEMA s{n}": 2_000,
    "CREATE TABLE s{at}.t{n} (id int PRIMARY KEY, name text{more})": 20_000,
    "CREATE FUNCTION s{at}.f{n}(a int, b text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a'": 5_000,
    "CREATE VIEW s{n}.v{n} AS SELECT * FROM s{n}.t{tenfold}": 500,
}


@pytest.fixture(scope="module")
def large() -> Iterator[DemoDatabase]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-large-"))
    database = DemoDatabase()
    database.start(folder)
    try:
        with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
            for text, count in _MANY.items():
                for first in range(1, count + 1, _BATCH):
                    batch = [
                        text.format(
                            n=n, at=(n - 1) * 2_000 // count + 1, tenfold=n * 10, more=", c numeric" if n % 2 else ""
                        )
                        for n in range(first, min(first + _BATCH, count + 1))
                    ]
                    connection.execute(";".join(batch).encode())
            connection.execute("GRANT USAGE ON SCHEMA s1, s2000, s50 TO pgjit_agent")
            connection.execute("GRANT SELECT ON s1.t1, s2000.t20000, s50.v50 TO pgjit_agent")
        yield database
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def test_the_first_login_gets_in_and_names_resolve(large: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(large, tmp_path) as world:
        token = await world.token(add_reader(world))
        began = asyncio.get_running_loop().time()
        connection = await connect_psycopg(world, token, "reader")
        print(f"first login after {asyncio.get_running_loop().time() - began:.1f} s")
        for table in ("s1.t1", "s2000.t20000", "s50.v50"):
            assert await (await connection.execute(f"SELECT count(id) FROM {table}".encode())).fetchone() == (0,)
        with pytest.raises(psycopg.errors.UndefinedColumn):
            await connection.execute("SELECT nothing FROM s1.t1")
        await connection.close()
