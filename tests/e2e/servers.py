"""The servers that the matrix runs against: embedded, installed, and in containers.

Decides how each is started and under which account. Filling it, and who may log in, is the demo database's. A
server that cannot be had here is a skip with its reason.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.run.clusters import copied_cluster
from tests.run.programs import need

__all__ = ["NAMES", "is_installed", "serve", "serve_at", "serve_prepared"]

_INSTALLED = Path("/usr/lib/postgresql")
_SECONDS = 60
NAMES = ("embedded-16", "embedded-18", "installed", *(f"container-{version}" for version in range(13, 19)))


def is_installed() -> bool:
    return any(_INSTALLED.glob("*/bin/postgres"))


@contextmanager
def serve(name: str, folder: Path) -> Iterator[DemoDatabase]:
    kind, _, version = name.partition("-")
    database = DemoDatabase()
    if kind == "embedded":
        database.start(folder, int(version))
    elif kind == "installed":
        database.fill(_Installed.start(folder))
    else:
        database.fill(_Container.start(folder, version))
    try:
        yield database
    finally:
        database.stop()


@contextmanager
def serve_prepared(
    prefix: str, prepare: Callable[[DemoDatabase], Coroutine[None, None, None]]
) -> Iterator[DemoDatabase]:
    """An installed server where there is one: it comes with extensions."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        with serve("installed" if is_installed() else "embedded-18", folder) as database:
            asyncio.run(prepare(database))
            yield database
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serve_at(
    binaries: Path, psql: Path, prefix: str, prepare: Callable[[DemoDatabase], Coroutine[None, None, None]]
) -> Iterator[DemoDatabase]:
    """A server whose programs are in that folder; they are put where the account that runs them can read them."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        subprocess.run(["cp", "-a", str(binaries), str(folder / "programs")], check=True, timeout=_SECONDS)
        (folder / "programs" / "bin" / "psql").symlink_to(psql)
        database = DemoDatabase()
        database.fill(_Installed.of(folder / "programs" / "bin", folder))
        try:
            asyncio.run(prepare(database))
            yield database
        finally:
            database.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Place:
    socket_dir: Path | None
    port: int | None


@dataclass
class _Installed:
    """The newest server of the system's packages, on a Unix socket of its own."""

    bin_path: Path
    pgdata: Path
    account: str | None

    @classmethod
    def start(cls, folder: Path) -> _Installed:
        found = sorted(_INSTALLED.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        if not found:
            pytest.skip("no PostgreSQL server is installed")
        return cls.of(found[-1].parent, folder)

    @classmethod
    def of(cls, bin_path: Path, folder: Path) -> _Installed:
        account = _account()
        home = folder / "installed"
        home.mkdir()
        if account is not None:
            shutil.chown(home, account)
        server = cls(bin_path, home / "data", account)
        initdb = ("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        program = (bin_path / "initdb").stat()
        kind = f"{program.st_size}-{program.st_mtime_ns}"
        copied_cluster(kind, server.pgdata, bin_path, lambda: server._run(*initdb))
        options = f"-c listen_addresses='' -c unix_socket_directories='{home}'"
        server._run("pg_ctl", "-w", "-s", "-l", str(server.pgdata / "log"), "-o", options, "start")
        return server

    def get_postmaster_info(self) -> _Place:
        return _Place(self.pgdata.parent, 5432)

    def cleanup(self) -> None:
        self._run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")
        shutil.rmtree(self.pgdata.parent, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes nowhere: a server that it starts would hold a pipe open.
        subprocess.run(
            [str(self.bin_path / program), "-D", str(self.pgdata), *arguments],
            user=self.account, cwd="/", check=True, timeout=_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _account() -> str | None:
    """PostgreSQL does not run as root: then the account that its packages make."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no account `postgres`")


@dataclass
class _Container:
    """A server in a container, reached by a Unix socket in a folder that is mounted there."""

    bin_path: Path
    pgdata: Path
    socket_dir: Path
    container: object

    @classmethod
    def start(cls, folder: Path, version: str) -> _Container:
        if os.geteuid() != 0:
            pytest.skip("who may log in is written into the container's files: that takes root")
        docker = shutil.which("docker")
        if docker is None or subprocess.run([docker, "info"], capture_output=True, timeout=_SECONDS).returncode:
            pytest.skip("no Docker engine answers")
        [psql] = need("psql")
        from testcontainers.postgres import PostgresContainer

        data, sockets = folder / f"data-{version}", folder / f"sockets-{version}"
        data.mkdir()
        sockets.mkdir()
        container = (
            PostgresContainer(f"postgres:{version}", username="postgres", password=secrets.token_urlsafe(24))
            .with_volume_mapping(str(data), "/data", "rw")
            .with_volume_mapping(str(sockets), "/var/run/postgresql", "rw")
            .with_env("PGDATA", "/data/pgdata")
        )
        try:
            container.start()
        except Exception as error:  # noqa: BLE001 - an image that is not to be had, in whatever words
            pytest.skip(f"PostgreSQL {version} did not start in a container: {error}")
        return cls(Path(psql).parent, data / "pgdata", sockets, container)

    def get_postmaster_info(self) -> _Place:
        return _Place(self.socket_dir, 5432)

    def cleanup(self) -> None:
        from testcontainers.postgres import PostgresContainer

        assert isinstance(self.container, PostgresContainer)
        self.container.stop()
