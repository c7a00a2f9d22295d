"""Restarts on a socket that another process holds: connections wait in it, and none is refused or reset."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.app import App
from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.config import load_config
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.proxy import drain, listener
from tests.e2e.pgjit_elsewhere import PgjitElsewhere
from tests.e2e.worlds import add_reader, open_world, records
from tests.run.waiting import until

CLIENTS, RESTARTS, STATEMENTS = 3, 1, 3
# What systemd does between fork and exec.
ACTIVATED = """
import os, sys
for place, number in enumerate(map(int, sys.argv[1].split(",")), start=3):
    os.dup2(number, place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def held_socket() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as held:
        yield held


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, who was let in may log in and run a statement."""
    monkeypatch.setattr(listener, "_LOGIN_SECONDS", 60.0)
    monkeypatch.setattr(drain, "_QUIET_SECONDS", 60.0)


async def test_clients_that_come_during_restarts_are_all_served(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    limits = {"limits": {"drain_seconds": 60, "sessions_per_identity": 100}}
    async with open_world(database, tmp_path, config=limits) as world:
        token = await world.token(add_reader(world))
        await world.app.__aexit__()
        with held_socket() as held:
            done: list[int] = []
            restarts = asyncio.Event()
            await serve_again(world, held)
            place = world.conninfo("reader").replace(f"port={world.app.port}", f"port={held.getsockname()[1]}")

            async def loop() -> None:
                while not restarts.is_set() or len(done) < STATEMENTS:
                    async with await psycopg.AsyncConnection.connect(place, password=token, autocommit=True) as one:
                        await one.execute("SELECT 1")
                    done.append(1)

            clients = [asyncio.create_task(loop()) for _ in range(CLIENTS)]
            for _ in range(RESTARTS):
                await until(has_served(done, len(done) + STATEMENTS, clients))
                await world.app.__aexit__()
                await serve_again(world, held)
            restarts.set()
            await asyncio.gather(*clients)
            await world.app.__aexit__()
    assert records(world, "login.refused") == []
    assert len(records(world, "session.opened")) == len(done)
    assert len(records(world, "execution")) == len(done)


def has_served(done: list[int], count: int, clients: list[asyncio.Task[None]]) -> Callable[[], bool]:
    return lambda: len(done) >= count or any(each.done() for each in clients)


async def serve_again(world: World, held: socket.socket) -> None:
    """As a new process with the socket of the last one."""
    world.app = App(
        await asyncio.to_thread(load_config, world.config_file), inherited=InheritedSockets((held.dup(),))
    )
    world.app._inherited.listen[0].setblocking(False)
    await world.app.__aenter__()


async def test_serve_speaks_the_protocol_of_systemd(world: World) -> None:
    token = await world.token(add_reader(world))
    elsewhere = PgjitElsewhere(world, "activated")
    notify = world.folder / "notify"
    with (
        held_socket() as held, held_socket() as admin,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):  # fmt: skip
        systemd.bind(str(notify))
        systemd.setblocking(False)
        given = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "pgjit.socket:admin", "NOTIFY_SOCKET": str(notify)}
        descriptors = f"{held.fileno()},{admin.fileno()}"
        activated = (sys.executable, "-c", ACTIVATED, descriptors)
        port = held.getsockname()[1]
        place = world.conninfo("reader").replace(f"port={world.app.port}", f"port={port}")
        # Before the process is there, as while it restarts: the connection waits.
        waiting = asyncio.create_task(psycopg.AsyncConnection.connect(place, password=token, autocommit=True))
        async with elsewhere.served(
            *activated, env={**os.environ, **given}, pass_fds=(held.fileno(), admin.fileno())
        ) as process:
            assert elsewhere.port == port
            async with await waiting as connection:
                await connection.execute("SELECT 1")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        heard: list[str] = []
        while len(heard) < 3:
            heard.append((await asyncio.wait_for(asyncio.get_running_loop().sock_recv(systemd, 4096), 60)).decode())
    assert [text.partition("\n")[0] for text in heard] == ["READY=1", "STOPPING=1", "EXTEND_TIMEOUT_USEC=30000000"]
    assert heard[0].endswith(f":{port}")
