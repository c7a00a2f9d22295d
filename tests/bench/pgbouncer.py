"""pgbouncer with session pooling, where it is installed: the proxy that pgjit is held against.

It terminates TLS as pgjit does, and logs in to the server once for each of its pooled connections.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

from pgjit.demo.certificates import Certificates
from tests.bench.ports import await_port, free_port
from tests.bench.postgres import DATABASE, ROLE, account
from tests.run.processes import own
from tests.run.programs import find

__all__ = ["Pgbouncer", "close_server_connections", "pgbouncer_version", "run_pgbouncer"]


@dataclass(frozen=True)
class Pgbouncer:
    port: int
    group: int


def pgbouncer_version() -> str | None:
    """None where it is not installed."""
    program = find("pgbouncer")
    if program is None:
        return None
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30)
    return shown.stdout.split()[1]


@contextmanager
def run_pgbouncer(
    folder: Path, certificates: Certificates, host: str, port: int, password: str
) -> Iterator[Pgbouncer]:
    """In front of the server at that host, a Unix socket's folder or an address."""
    program = find("pgbouncer")
    assert program is not None
    home = folder / f"pgbouncer-{port}"
    home.mkdir()
    shutil.copy(certificates.key, home / "server.key")
    shutil.copy(certificates.certificate, home / "server.crt")
    (home / "users").write_text(f'"{ROLE}" "{password}"\n')
    listen = free_port()
    (home / "pgbouncer.ini").write_text(_configuration(home, host, port, listen))
    user = account()
    if user is not None:
        for path in (home, *home.iterdir()):
            shutil.chown(path, user)
    with (
        (home / "log").open("w") as log,
        own(
            program, "-q", home / "pgbouncer.ini", user=user, cwd="/", stdout=log.fileno(), stderr=subprocess.STDOUT
        ) as process,
    ):
        await_port(listen, process)
        yield Pgbouncer(listen, process.pid)


def close_server_connections(environment: Mapping[str, str]) -> None:
    """Those that no client has are closed. `environment`: what libpq needs to log in to pgbouncer."""
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGSSLMODE": "sslmode"}
    settings = " ".join(f"{key}='{environment[name]}'" for name, key in names.items())
    connection = pq.PGconn.connect(f"{settings} dbname=pgbouncer".encode())
    if connection.status != pq.ConnStatus.OK:
        raise SystemExit(f"bench: no login to pgbouncer's own console: {connection.get_error_message()}")
    result = connection.exec_(f"RECONNECT {DATABASE}".encode())
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise SystemExit(f"bench: pgbouncer: {connection.get_error_message()}")
    connection.finish()


def _configuration(home: Path, host: str, port: int, listen: int) -> str:
    return f"""\
[databases]
{DATABASE} = host={host} port={port} dbname={DATABASE}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users
admin_users = {ROLE}
pool_mode = session
max_client_conn = 6000
default_pool_size = 6000
server_tls_sslmode = disable
client_tls_sslmode = require
client_tls_key_file = {home}/server.key
client_tls_cert_file = {home}/server.crt
ignore_startup_parameters = extra_float_digits,options
"""
