"""A server where the proxy alone holds: its login role is a superuser, and there is much to break.

Decides what is there (the red-team collection's own fixtures), who logs in, and what counts as untouched. Extensions
that this server does not come with are left out, with what would need them.
"""

from __future__ import annotations

import re
import select
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import asyncpg
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.servers import serve_prepared
from tests.e2e.worlds import READERS, open_world

__all__ = ["POLICY", "Line", "LogSlice", "open_loose", "refusal", "serve_loose", "untouched"]

_SECONDS = 90  # for one answer: the machine may be busy
SETUP = Path(__file__).parents[1] / "fixtures" / "redteam" / "setup.sql"
POLICY = f"""\
policy: reader
connection: prod-replica
group: {READERS}
grant: on-request
ttl: 30m
record: true
statements:
  access: read-only
  allow:
    - {{kinds: show, settings: [app.tenant]}}
"""

# Nothing else may write, or take a transaction id, while somebody looks whether something was written.
_SETTINGS = (
    "autovacuum = off", "log_min_duration_statement = 0", "log_line_prefix = '@%p@ '", "log_error_verbosity = terse",
    "log_checkpoints = off", "log_connections = off", "log_disconnections = off", "max_connections = 40",
)  # fmt: skip

# Everything that is stored in a database and in the cluster's catalogs, as one line a table. Statistics of
# relations are left out of pg_class: whoever reads may bring some of them up to date.
_WATCH = """
CREATE SCHEMA watch;
CREATE FUNCTION watch.fingerprint() RETURNS TABLE (what text, content text) LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname NOT IN ('information_schema', 'watch') ORDER BY 3
    LOOP
        what := one.name;
        IF one.relkind = 'S' THEN
            EXECUTE format('SELECT concat(last_value, is_called) FROM %s', one.name) INTO content;
        ELSIF one.name = 'pg_catalog.pg_class' THEN
            SELECT sum(hashtextextended(concat_ws('|', c.oid, relname, relnamespace, relowner, relfilenode, relkind,
                relhasindex, relhasrules, relhastriggers, relrowsecurity, relacl, reloptions), 0))
            INTO content FROM pg_class c;
        ELSE
            EXECUTE format('SELECT concat(count(*), '':'', sum(hashtextextended(t::text, 0))) FROM %s t', one.name)
            INTO content;
        END IF;
        RETURN NEXT;
    END LOOP;
    RETURN QUERY SELECT 'setting ' || name, setting FROM pg_settings WHERE context <> 'internal';
    RETURN QUERY SELECT 'auto.conf', pg_read_file('postgresql.auto.conf');
    RETURN QUERY SELECT 'slots', count(*)::text FROM pg_replication_slots;
    RETURN QUERY SELECT 'files', string_agg(f, ',' ORDER BY f) FROM pg_ls_dir('.') f;
    RETURN QUERY SELECT 'reset', concat(stats_reset) FROM pg_stat_database WHERE datname = current_database();
    RETURN QUERY SELECT 'loaded', pg_conf_load_time()::text;
END $$
"""


def serve_loose() -> AbstractContextManager[DemoDatabase]:
    """An installed server where there is one: it comes with the extensions that the collection speaks of."""
    return serve_prepared("pgjit-rt-", _prepare)


async def _prepare(database: DemoDatabase) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    for setting in _SETTINGS:
        await connection.execute(f"ALTER SYSTEM SET {setting}")
    await connection.execute("SELECT pg_reload_conf()")
    available = {row[0] for row in await connection.fetch("SELECT name FROM pg_available_extensions")}
    extension = re.compile(r'CREATE EXTENSION "?([\w-]+)"?;')
    script = extension.sub(lambda found: found[0] if found[1] in available else "", SETUP.read_text("utf-8"))
    await connection.execute(script)
    await connection.execute(_WATCH)
    await connection.execute(f"ALTER ROLE {database.writer} SUPERUSER")
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


def open_loose(database: DemoDatabase, folder: Path) -> World:
    """pgjit before it, with a policy that reads; tokens are had with `add_reader`."""
    secret = folder / "superuser-secret"
    secret.write_text(database.writer_password)
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    login = {**place, "user": database.writer, "password": {"file": str(secret)}}
    policies = folder / "only-reading"
    policies.mkdir()
    (policies / "reader.yaml").write_text(POLICY)
    return open_world(database, folder, config={"connections": {"prod-replica": login}}, policies=policies)


async def untouched(database: DemoDatabase) -> dict[str, str]:
    """What is stored and set there, to be compared with what was."""
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        return {row[0]: row[1] for row in await connection.fetch("SELECT * FROM watch.fingerprint()")}
    finally:
        await connection.close()


class Line:
    """One session, through pgjit or (as its administrator) straight to the server. Its calls block."""

    def __init__(self, conninfo: str) -> None:
        self.copied = b""  # what the last call gave by COPY ... TO STDOUT
        self._connection = pq.PGconn.connect_start(conninfo.encode())
        while (polled := self._connection.connect_poll()) in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            reading = polled == pq.PollingStatus.READING
            self._wait_for(reading=reading)
        assert self._connection.status == pq.ConnStatus.OK, self._connection.error_message

    @classmethod
    def through(cls, world: World, token: str) -> Line:
        return cls(f"{world.conninfo('reader')} password={token}")

    @classmethod
    def direct(cls, database: DemoDatabase, user: str = "postgres") -> Line:
        return cls(f"host={database.socket_dir} port={database.port} dbname={database.database} user={user}")

    @property
    def alive(self) -> bool:
        return self._connection.status == pq.ConnStatus.OK

    @property
    def pid(self) -> int:
        return self._connection.backend_pid

    def roll_back(self) -> None:
        """Where a transaction is open."""
        if self._connection.transaction_status != pq.TransactionStatus.IDLE:
            self.simple("ROLLBACK")

    def simple(self, sql: bytes | str) -> list[pq.abc.PGresult]:
        """One Query message; every result that came."""
        self._connection.send_query(sql.encode() if isinstance(sql, str) else sql)
        return self._results()

    def extended(self, sql: bytes | str, values: Sequence[bytes | None] | None = None) -> list[pq.abc.PGresult]:
        """Parse, Bind, Describe, Execute, Sync."""
        self._connection.send_query_params(sql.encode() if isinstance(sql, str) else sql, values)
        return self._results()

    def prepare_named(self, name: str, sql: str) -> list[pq.abc.PGresult]:
        """A Parse of that name, and Sync."""
        self._connection.send_prepare(name.encode(), sql.encode())
        return self._results()

    def run_named(self, name: str) -> list[pq.abc.PGresult]:
        """Bind, Describe, Execute, Sync."""
        self._connection.send_query_prepared(name.encode(), None)
        return self._results()

    def _results(self) -> list[pq.abc.PGresult]:
        found: list[pq.abc.PGresult] = []
        self.copied = b""
        self._connection.flush()
        while (result := self._next()) is not None:
            found.append(result)
            if result.status == pq.ExecStatus.COPY_OUT:
                while (got := self._connection.get_copy_data(1))[0] >= 0:
                    if got[0] == 0:
                        self._wait()
                    self.copied += bytes(got[1])
            elif result.status == pq.ExecStatus.COPY_IN:
                self._connection.put_copy_end(b"no")
        return found

    def _next(self) -> pq.abc.PGresult | None:
        while self._connection.is_busy():
            self._wait()
        return self._connection.get_result()

    def _wait(self) -> None:
        """Where libpq waits by itself, nothing else of this process runs: not the proxy either."""
        self._wait_for(reading=True)
        self._connection.consume_input()

    def _wait_for(self, *, reading: bool) -> None:
        ready = [self._connection.socket]
        if not any(select.select(ready * reading, ready * (not reading), [], _SECONDS)):
            raise TimeoutError("no answer")

    def close(self) -> None:
        self._connection.finish()


class LogSlice:
    """What the server wrote into its log of one backend since it was last asked."""

    def __init__(self, database: DemoDatabase, pid: int) -> None:
        self._file = database.log
        self._mark = f"@{pid}@ ".encode()
        self._at = self._file.stat().st_size

    def read(self) -> str:
        with self._file.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at += len(new)
        entries = re.split(rb"(?m)^(?=@\d+@ )", new)
        return b"".join(entry for entry in entries if entry.startswith(self._mark)).decode()


def refusal(results: list[pq.abc.PGresult]) -> tuple[str, str, str] | None:
    """SQLSTATE, reference and message, where pgjit refused."""
    for result in results:
        routine = result.error_field(pq.DiagnosticField.SOURCE_FUNCTION)
        if routine is not None and routine.startswith(b"pgjit:"):
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            told = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
            return (state or b"").decode(), routine.decode(), (told or b"").decode()
    return None
