"""`current_setting($1)`: what the parameter names is judged when it is known, by every way that leads there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from tests.e2e.everyday import open_everyday
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader, records

TEXT = b"SELECT current_setting($1, true)"
SECRET, SHOWN = b"app.key", b"TimeZone"


class Asking(Line):
    """A session that binds."""

    def bound(self, text: bytes, *values: bytes, binary: bool = False) -> list[pq.abc.PGresult]:
        self._connection.send_query_params(text, list(values), param_formats=[pq.Format(int(binary))] * len(values))
        return self._results()

    def prepare(self, name: bytes, text: bytes) -> list[pq.abc.PGresult]:
        self._connection.send_prepare(name, text)
        return self._results()

    def run(self, name: bytes, *values: bytes) -> list[pq.abc.PGresult]:
        self._connection.send_query_prepared(name, list(values))
        return self._results()


def see(line: Asking) -> None:
    for binary in (False, True):
        assert refusal(line.bound(TEXT, SHOWN, binary=binary)) is None
        found = refusal(line.bound(TEXT, SECRET, binary=binary))
        assert found is not None
        assert found[1] == "pgjit:secret-setting"
    assert line.prepare(b"asked", TEXT)[0].error_message == b""
    assert refusal(line.run(b"asked", SHOWN)) is None
    assert refusal(line.simple("EXECUTE asked('TimeZone')")) is None
    refused = [
        line.run(b"asked", SECRET),
        line.simple("EXECUTE asked('app.key')"),
        line.simple("EXECUTE asked('app.' || 'key')"),
        line.simple("EXPLAIN ANALYZE EXECUTE asked('app.key')"),
        line.bound(b"EXECUTE asked('app.key')"),
        line.simple("PREPARE own AS SELECT current_setting($1)"),
        line.simple("BEGIN") and line.bound(b"DECLARE c CURSOR FOR SELECT current_setting($1, true)", SECRET),
    ]
    assert [refusal(each) is not None for each in refused] == [True] * len(refused)


@pytest.mark.parametrize("which", ["embedded", "everyday"])
async def test_a_parameter_names_only_settings_that_may_be_shown(
    which: str, database: DemoDatabase, everyday_database: DemoDatabase, tmp_path: Path
) -> None:
    served = database if which == "embedded" else everyday_database
    async with open_everyday(served, tmp_path) as world:
        conninfo = f"{world.conninfo('reader')} password={await world.token(add_reader(world))}"
        line = await asyncio.to_thread(Asking, conninfo)
        await asyncio.to_thread(see, line)
        line.close()
        ran = [each for each in records(world, "execution") if each["decision"] == "allow"]
        assert not [each for each in ran if "app.key" in str(each.get("parameters"))]
