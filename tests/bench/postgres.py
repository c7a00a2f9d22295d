"""The PostgreSQL of the bench: one that is installed, which speaks TLS, or else the demo's embedded one.

Decides its settings, its role and its tables. `PG_BIN` names the folder of another one's programs, or is
`embedded`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgjit.demo.certificates import Certificates
from pgjit.demo.client import write_program
from pgjit.demo.database import DemoDatabase
from tests.bench.ports import free_port

__all__ = ["CONNECTIONS", "DATABASE", "ROLE", "Postgres", "account", "run_postgres"]

DATABASE, ROLE = "bench", "bench"
_SECONDS = 120
CONNECTIONS = 5_200
"""How many sessions it takes."""
_SETTINGS = {
    "max_connections": str(CONNECTIONS + 100),
    "shared_buffers": "256MB",
    "fsync": "off",  # the disk is not what is measured
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "password_encryption": "scram-sha-256",
}
_HBA = """\
local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Postgres:
    """A running server. Clients reach it at `host`, with TLS where `tls`; a proxy at its Unix socket."""

    version: str
    bin_path: Path
    socket_dir: Path
    port: int
    host: str
    tls: bool
    password: str
    pgbench: Path
    connections: int = CONNECTIONS
    """how many sessions it takes"""

    def superuser(self, sql: str, database: str = DATABASE) -> str:
        place = ("-h", str(self.socket_dir), "-p", str(self.port), "-U", "postgres", "-d", database)
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
        return _run([str(self.bin_path / "psql"), *place, *options], sql)


def account() -> str | None:
    """The account for programs that do not run as root; None for the own one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise SystemExit("bench: PostgreSQL and pgbouncer do not run as root, and there is no account `postgres`")


@contextmanager
def run_postgres(folder: Path, certificates: Certificates, scale: int) -> Iterator[Postgres]:
    """A server with pgbench's tables at `scale`, for as long as the block lasts."""
    programs = _installed()
    running = _run_installed(programs, folder, certificates) if programs else _run_embedded(folder)
    with running as server:
        server.superuser(
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{server.password}'; CREATE DATABASE {DATABASE} OWNER {ROLE};",
            "postgres",
        )
        _run(
            [str(server.pgbench), "-i", "-q", "-s", str(scale), DATABASE],
            environment={"PGHOST": str(server.socket_dir), "PGPORT": str(server.port), "PGUSER": ROLE}
            | {"PGPASSWORD": server.password},
        )
        yield server


def _installed() -> Path | None:
    named = os.environ.get("PG_BIN")
    if named:
        return None if named == "embedded" else Path(named)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda path: float(path.parts[-3]))
    servers = [path.parent for path in found if (path.parent / "initdb").exists()]
    return servers[-1] if servers else None


@contextmanager
def _run_installed(programs: Path, folder: Path, certificates: Certificates) -> Iterator[Postgres]:
    home = folder / "postgres"
    data = home / "data"
    home.mkdir()
    user = account()
    if user is not None:
        shutil.chown(home, user)
    control = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-s"]
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    _run([*initdb, "--locale=C", "--no-sync"], user=user)
    _place_certificates(data, certificates, user)
    port = free_port()
    settings = _SETTINGS | {
        "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": str(home), "ssl": "on",
    }  # fmt: skip
    with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (data / "pg_hba.conf").write_text(_HBA)
    _run([*control, "-l", str(data / "log"), "start"], user=user)
    try:
        version = _run([str(programs / "postgres"), "--version"]).split()[2]
        yield Postgres(
            version, programs, home, port, "127.0.0.1", True, secrets.token_urlsafe(24),
            programs / "pgbench",
        )  # fmt: skip
    finally:
        _run([*control, "-m", "immediate", "stop"], user=user)


def _place_certificates(data: Path, certificates: Certificates, user: str | None) -> None:
    for source, name in ((certificates.key, "server.key"), (certificates.certificate, "server.crt")):
        shutil.copy(source, data / name)
        (data / name).chmod(0o600)
        if user is not None:
            shutil.chown(data / name, user)


@contextmanager
def _run_embedded(folder: Path) -> Iterator[Postgres]:
    """It has no TLS and listens on a Unix socket alone. Its pgbench speaks TLS by psycopg's libpq."""
    database = DemoDatabase()
    database.start(folder)
    try:
        server = Postgres(
            "18 (embedded)", database.bin_path, database.socket_dir, database.port, str(database.socket_dir), False,
            secrets.token_urlsafe(24), _pgbench(folder, database.bin_path / "pgbench"),
        )  # fmt: skip
        data = database.log.parent
        (data / "pg_hba.conf").write_text(_HBA)
        for name, value in _SETTINGS.items():
            server.superuser(f"ALTER SYSTEM SET {name} = '{value}'", "postgres")
        control = [str(database.bin_path / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(database.log)]
        _run([*control, "-m", "fast", "restart"], user=data.owner() if os.geteuid() == 0 else None)
        yield server
    finally:
        database.stop()


def _pgbench(folder: Path, embedded: Path) -> Path:
    program = write_program(folder, embedded) or shutil.which("pgbench")
    if program is None:
        raise SystemExit("bench: there is no pgbench that can speak TLS")
    return Path(program)


def _run(
    command: list[str], text: str | None = None, *, user: str | None = None, environment: dict[str, str] | None = None
) -> str:
    # A server that pg_ctl starts would hold a pipe open: its output goes nowhere.
    starts = command[-1] in ("start", "restart")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        command, input=text, stdin=None if text is not None else subprocess.DEVNULL, text=True, user=user, cwd="/",
        stdout=subprocess.DEVNULL if starts else subprocess.PIPE,
        stderr=subprocess.DEVNULL if starts else subprocess.PIPE,
        env=plain | (environment or {}), timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} failed: {done.stderr or done.stdout or ''}")
    return done.stdout or ""
