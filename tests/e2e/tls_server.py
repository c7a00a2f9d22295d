"""A PostgreSQL of this machine's own with TLS on and a role for every way of logging in; and a standby of it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.bench.ports import free_port
from tests.fakes.certificate_authority import Authority, Pair

__all__ = ["PASSWORD", "TlsServer", "binaries"]

PASSWORD = "correct horse, 'battery' staple"

_HBA = """\
local     all         postgres                    trust
local     all         clear                       password
local     all         scram                       scram-sha-256
local     replication postgres                    trust
hostnossl all         scram,plain 127.0.0.1/32    scram-sha-256
hostnossl all         clear       127.0.0.1/32    password
hostnossl all         md5         127.0.0.1/32    md5
hostssl   all         scram,few   127.0.0.0/24    scram-sha-256
hostssl   all         md5         127.0.0.1/32    md5
hostssl   all         clear       127.0.0.1/32    password
hostssl   all         open        127.0.0.1/32    trust
hostssl   all         certified   127.0.0.1/32    cert
hostssl   all         twice       127.0.0.1/32    scram-sha-256 clientcert=verify-full
"""


def binaries() -> Path | None:
    """Where a PostgreSQL with TLS is; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class TlsServer:
    """`start` and `stop` block. The server does not run as root: as `nobody` then."""

    def __init__(self, bin_path: Path) -> None:
        self._bin = bin_path
        self._account = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        # A short path: that of a Unix socket has a limit.
        self.folder = Path(tempfile.mkdtemp(prefix="pgjit-tls-"))
        self.port, self.standby_port = free_port(), free_port()
        self.authority = Authority(self.folder)
        self.certificate: Pair = self.authority.server("localhost", "127.0.0.1")

    def start(self) -> None:
        data = self.folder / "data"
        self._give(self.folder, self.certificate.certificate, self.certificate.key, self.authority.root)
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        settings = {
            "listen_addresses": "127.0.0.1,127.0.0.2",
            "unix_socket_directories": self.folder,
            "ssl": "on",
            "ssl_ca_file": self.authority.root,
            "ssl_cert_file": self.certificate.certificate,
            "ssl_key_file": self.certificate.key,
            "fsync": "off",
            "max_connections": "30",
        }
        with (data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (data / "pg_hba.conf").write_text(_HBA)
        self._control("start", data, f"-p {self.port}")
        secret = PASSWORD.replace("'", "''")
        self.sql(
            *(
                f"CREATE ROLE {name} LOGIN PASSWORD '{secret}'"
                for name in ("scram", "plain", "clear", "twice", "few")
            ),
            "ALTER ROLE few CONNECTION LIMIT 0",
            "ALTER ROLE scram SET default_transaction_read_only = on",
            "CREATE ROLE open LOGIN",
            "CREATE ROLE certified LOGIN",
            "SET password_encryption = 'md5'",
            f"CREATE ROLE md5 LOGIN PASSWORD '{secret}'",
        )

    def start_standby(self) -> None:
        data = self.folder / "standby"
        self._run(
            "pg_basebackup", "-D", data, "-h", self.folder, "-p", self.port, "-U", "postgres", "-R", "-X", "stream",
            "-c", "fast", "--no-sync",
        )  # fmt: skip
        self._control("start", data, f"-p {self.standby_port}")

    def stop(self) -> None:
        for name in ("standby", "data"):
            if (self.folder / name / "postmaster.pid").exists():
                self._control("stop", self.folder / name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, *commands: str, standby: bool = False) -> str:
        port = self.standby_port if standby else self.port
        arguments = [part for command in commands for part in ("-c", command)]
        place = ("-h", self.folder, "-p", port, "-U", "postgres", "-d", "postgres")
        return self._run("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", *place, *arguments)

    def _control(self, verb: str, data: Path, options: str = "") -> None:
        arguments = ("-o", options, "-l", self.folder / f"{data.name}.log") if options else ("-m", "immediate")
        self._run("pg_ctl", verb, "-w", "-D", data, *arguments)

    def _give(self, *paths: Path) -> None:
        if self._account is not None:
            for path in paths:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _run(self, program: str, *arguments: object) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        account = self._account
        done = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            # Not a pipe for the server that pg_ctl leaves behind: it would be kept open.
            stdout=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program == "psql" else subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            cwd=self.folder,
            env=environment | {"LC_ALL": "C"},
            timeout=60,
            text=True,
        )
        assert done.returncode == 0, f"{program} failed: {done.stdout}"
        return done.stdout or ""
