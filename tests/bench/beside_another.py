"""How long one agent waits while another one keeps pgjit busy, and how late windows end meanwhile.

    .venv/bin/python -m tests.bench.beside_another

Figures of one run on one machine: they are for comparing two versions of pgjit with each other, and one line with the
first, which has no load. pgjit runs in a process of its own, the busy agents in another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import READERS, add_member, add_reader, change, open_world
from tests.run.journal_text import journal_lines

SHORT_WINDOW = timedelta(seconds=8)
OBSERVED = "55555555-5555-4555-8555-555555555555"


class Bed:
    """A database, an identity provider, and `pgjit serve` beside them."""

    def __init__(self, world: World, port: int) -> None:
        self.world, self.port = world, port

    def end_of(self, window: str) -> datetime:
        for line in journal_lines(self.world.folder / "bench-journal"):
            if '"window.opened"' in line[:100] and window in line:
                return datetime.fromisoformat(json.loads(line)["window"]["ends_at"])
        raise AssertionError(f"the journal does not know {window}")

    async def connect(self, token: str, policy: str) -> asyncpg.Connection[asyncpg.Record]:
        return await connect(self.port, str(self.world.certificates.authority), token, policy)


async def connect(port: int, authority: str, token: str, policy: str) -> asyncpg.Connection[asyncpg.Record]:
    trust = ssl.create_default_context(cafile=authority)
    return await asyncpg.connect(
        host="localhost", port=port, user=policy, password=token, database="prod-replica", ssl=trust, timeout=300
    )


def statement(size: int, number: int) -> str:
    """As long as that, of many tokens, and never the same twice."""
    unit = f"id + {number} > 7 OR "
    return "SELECT 1 FROM orders WHERE " + unit * (size // len(unit)) + "false LIMIT 1"


@asynccontextmanager
async def bed() -> AsyncIterator[Bed]:
    with tempfile.TemporaryDirectory(prefix="pgjit-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = DemoDatabase()
        await asyncio.to_thread(database.start, folder)
        await change(database, "ALTER SYSTEM SET max_connections = 300")
        await change(database, f"ALTER ROLE {database.user} CONNECTION LIMIT -1")
        await asyncio.to_thread(_control, database, "-m", "fast", "restart")
        limits = {"sessions_per_identity": 100, "connections_per_address": 400, "handshake_seconds": 300}
        try:
            async with open_world(
                database, folder, ttl={"observed": SHORT_WINDOW}, config={"limits": limits}
            ) as world:
                text = world.config_file.read_text()
                for key, place in (("path", "pgjit.sqlite3"), ("folder", "journal")):
                    text = text.replace(f"{key}: {place}", f"{key}: bench-{place}")
                (folder / "bench.yaml").write_text(text)
                serving = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "pgjit", "serve", "--config", str(folder / "bench.yaml"), "--json",
                    stdout=PIPE,
                )  # fmt: skip
                try:
                    assert serving.stdout is not None
                    listen = json.loads(await serving.stdout.readline())["listen"]
                    yield Bed(world, int(listen.rsplit(":", 1)[1]))
                finally:
                    serving.terminate()
                    await serving.wait()
        finally:
            await asyncio.to_thread(_control, database, "-m", "immediate", "stop")
            await asyncio.to_thread(database.stop)


def _control(database: DemoDatabase, *arguments: str) -> None:
    data = database.log.parent
    subprocess.run(
        [str(database.bin_path / "pg_ctl"), "-D", str(data), "-w", "-s", *arguments],
        user=data.owner() if os.geteuid() == 0 else None, cwd="/", check=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


# --- the busy agents, in a process of their own --------------------------------------------------------


async def be_busy(port: int, authority: str, sessions: int, size: int) -> None:
    token = sys.stdin.readline().strip()
    connections = [await connect(port, authority, token, "reader") for _ in range(sessions)]
    print("busy", flush=True)

    async def loop(connection: asyncpg.Connection[asyncpg.Record], first: int) -> None:
        for number in range(first, 1 << 30, sessions):
            await connection.execute(statement(size, number))

    await asyncio.gather(*(loop(connection, index) for index, connection in enumerate(connections)))


@asynccontextmanager
async def busy(bed: Bed, sessions: int, size: int) -> AsyncIterator[None]:
    if not sessions:
        yield
        return
    token = await bed.world.token(add_reader(bed.world))
    process: Process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.beside_another", "--busy", str(sessions), "--size", str(size),
        "--port", str(bed.port), "--authority", str(bed.world.certificates.authority), stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(token.encode() + b"\n")
        await process.stdin.drain()
        assert await asyncio.wait_for(process.stdout.readline(), 120) == b"busy\n"
        await asyncio.sleep(2)
        yield
    finally:
        process.kill()
        await process.wait()


# --- what is measured ----------------------------------------------------------------------------------


async def waits(bed: Bed, sql: Sequence[str], seconds: float) -> list[float]:
    """How long each statement took, one after the other, for another agent."""
    connection = await bed.connect(await bed.world.token(add_member(bed.world, READERS)), "reader")
    took: list[float] = []
    until = time.monotonic() + seconds
    for text in sql:
        begun = time.monotonic()
        await connection.execute(text)
        took.append(time.monotonic() - begun)
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.02)
    await connection.close()
    return took


async def lateness(bed: Bed, windows: int) -> list[float]:
    """How late the clients of so many windows saw their end."""

    async def one(index: int) -> float:
        await asyncio.sleep(index * 0.2)
        connection = await bed.connect(await bed.world.token(add_member(bed.world, OBSERVED)), "observed")
        ended: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        connection.add_termination_listener(lambda _: ended.set_result(datetime.now(UTC)))
        window = str(await connection.fetchval("SHOW pgjit.window")).partition(":")[0]
        return ((await ended) - bed.end_of(window)).total_seconds()

    return list(await asyncio.gather(*(one(index) for index in range(windows))))


def tell(what: str, values: Sequence[float]) -> None:
    ranked = sorted(values)
    p99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
    print(
        f"{what:<64} n {len(ranked):>4}  median {ranked[len(ranked) // 2] * 1e3:8.1f}  "
        f"p99 {p99 * 1e3:8.1f}  most {ranked[-1] * 1e3:8.1f} ms",
        flush=True,
    )


async def measure(seconds: float, windows: int) -> None:
    small = [f"SELECT {number}" for number in range(100_000)]
    middle = [statement(17_000, number) for number in range(1_000)]
    async with bed() as place:
        for sessions, size in ((0, 0), (20, 15_900), (40, 15_900), (8, 255_000)):
            load = f"{sessions} sessions loop {size} bytes" if sessions else "no load"
            async with busy(place, sessions, size):
                tell(f"{load}: another's SELECT of a number", await waits(place, small, seconds))
                tell(f"{load}: another's SELECT of 17 KB", await waits(place, middle, 3 * seconds))
                tell(f"{load}: end of a window, late by", await lateness(place, windows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--busy", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--authority", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.busy:
        asyncio.run(be_busy(given.port, given.authority, given.busy, given.size))
    else:
        asyncio.run(measure(given.seconds, given.windows))


if __name__ == "__main__":
    main()
