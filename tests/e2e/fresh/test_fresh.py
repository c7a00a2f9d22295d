"""A pool that asks for a token for every connection, in each client that docs/clients.md shows."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from pgjit.demo.world import World
from tests.e2e.clients import libpq_environment
from tests.e2e.matrix.toolchains import HERE as MATRIX
from tests.e2e.matrix.toolchains import cached, run
from tests.e2e.worlds import add_reader, records
from tests.run.programs import need

HERE = Path(__file__).parent


def _python(client: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", "tests.e2e.fresh.with_python", client]


def _node() -> list[str]:
    def build(folder: Path) -> None:
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder, seconds=120)

    need("node", "npm")
    sources = [
        HERE / "node" / "fresh.mjs",
        *(MATRIX / "node" / name for name in ("package.json", "package-lock.json")),
    ]
    return ["node", str(cached("fresh-node", sources, build) / "fresh.mjs")]


def _go() -> list[str]:
    def build(folder: Path) -> None:
        run("go", "build", "-o", "fresh", ".", folder=folder, seconds=300, GOTOOLCHAIN="local")

    need("go")
    return [str(cached("fresh-go", sorted((HERE / "go").iterdir()), build) / "fresh")]


def _java() -> list[str]:
    def build(folder: Path) -> None:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        for artifact in (folder / "driver.txt").read_text().split():
            run("mvn", "-q", "-B", copy, f"-Dartifact={artifact}", "-DoutputDirectory=.", folder=folder, seconds=200)
        run("javac", "-cp", "*", "Fresh.java", folder=folder, seconds=60)

    need("java", "javac", "mvn")
    home = cached("fresh-java", [HERE / "java" / "Fresh.java", MATRIX / "java" / "driver.txt"], build)
    return ["java", "-cp", f"{home}:{home}/*", "Fresh"]


CLIENTS: dict[str, Callable[[], list[str]]] = {
    "psycopg_pool": _python("psycopg_pool"),
    "asyncpg": _python("asyncpg"),
    "SQLAlchemy, psycopg": _python("sqlalchemy"),
    "SQLAlchemy, asyncpg": _python("sqlalchemy-asyncpg"),
    "node-postgres": _node,
    "pgx": _go,
    "pgjdbc": _java,
}
FOREIGN = {"node-postgres", "pgx", "pgjdbc"}


def _marked(name: str) -> ParameterSet:
    return pytest.param(name, marks=[pytest.mark.foreign] if name in FOREIGN else [])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [_marked(name) for name in CLIENTS])
async def test_every_connection_of_a_pool_has_a_token_of_its_own(world: World, name: str) -> None:
    command = await asyncio.to_thread(CLIENTS[name])
    reader = add_reader(world)
    ours = ("AZURE_", "PGJIT_", "IDENTITY_", "PG")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        **libpq_environment(world, "reader"),
        "PGJIT_EMULATOR": world.emulator.url,
        "PGJIT_AUDIENCE": world.emulator.audience,
        "AZURE_TENANT_ID": world.emulator.tenant,
        "AZURE_CLIENT_ID": reader.client_id,
        "AZURE_CLIENT_SECRET": reader.client_secret,
        "PYTHON": sys.executable,
    }
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert [line.split()[0] for line in out.decode().splitlines()] == ["reader", "reader"]
    assert world.emulator.faults.counts["token"] == 2
    assert len(records(world, "session.opened")) == 2
