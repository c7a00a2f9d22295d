"""Real tools, run by the same login directly against the server and through pgjit: they print the same.

Decides which tools there are and what may differ. What a tool does stands in `programs`; its packages are kept
outside the checkout, and one that is not to be had is a skip with its reason.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.loose import POLICY
from tests.e2e.matrix.toolchains import cached, run
from tests.e2e.worlds import add_reader, open_world
from tests.run.processes import Finished, finish_async
from tests.run.programs import need

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
CLIENTS = HERE.parents[2] / "docs" / "clients.md"
SECONDS = 400  # dbt starts eight times


@dataclass(frozen=True)
class Tool:
    name: str  # as the table of docs/clients.md has it
    home: str | None  # the requirements that it is installed with; None: it is on the machine
    command: tuple[str, ...]
    differs: tuple[str, ...] = ()  # lines that begin so may differ, for a reason that the table gives
    there: str = ""  # what a person with more rights made before

    def __str__(self) -> str:
        return self.name


# The tables that Liquibase keeps its books in: without them even `status` wants to make them.
_CHANGES = """
CREATE SCHEMA IF NOT EXISTS changes;
CREATE TABLE IF NOT EXISTS changes.databasechangelog (
    id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) NOT NULL,
    dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL, exectype varchar(10) NOT NULL,
    md5sum varchar(35), description varchar(255),
    comments varchar(255), tag varchar(255), liquibase varchar(20), contexts varchar(255), labels varchar(255),
    deployment_id varchar(10)
);
CREATE TABLE IF NOT EXISTS changes.databasechangeloglock (
    id int PRIMARY KEY, locked boolean NOT NULL, lockgranted timestamp, lockedby varchar(255)
);
INSERT INTO changes.databasechangeloglock VALUES (1, false) ON CONFLICT DO NOTHING;
GRANT USAGE ON SCHEMA changes TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA changes TO PUBLIC;
"""


def _program(name: str) -> tuple[str, ...]:
    return ("{bin}/python", str(PROGRAMS / f"run_{name}.py"))


def _java(name: str) -> tuple[str, ...]:
    return ("java", "-XX:TieredStopAtLevel=1", "-cp", "{bin}:{bin}/lib/*", "RunJava", name)


TOOLS = [
    Tool("psql", None, ("psql", "-X", "-v", "ON_ERROR_STOP=0", "-f", str(PROGRAMS / "psql.sql"))),
    Tool("pgcli", "data", _program("pgcli")),
    Tool("SQLAlchemy", "data", _program("sqlalchemy")),
    Tool("sqlacodegen", "data", ("{bin}/python", "-m", "sqlacodegen", "--schemas", "app", "{url}")),
    Tool("Django", "data", _program("django")),
    Tool("pandas", "data", _program("pandas")),
    Tool("polars", "data", _program("polars")),
    Tool("connectorx", "data", _program("connectorx")),
    Tool("ADBC", "data", _program("adbc"), differs=("ingest",)),
    Tool("dbt", "dbt", _program("dbt"), differs=("run",)),
    Tool("mcp-alchemy (MCP)", "mcp", _program("mcp"), differs=("write",)),
    Tool("Liquibase", "java", _java("liquibase"), differs=("update",), there=_CHANGES),
    Tool("Flyway", "java", _java("flyway"), differs=("migrate",)),
    Tool("Hibernate", "java", _java("hibernate"), differs=("update", "write")),
    Tool("jOOQ", "java", _java("jooq")),
    Tool("knex", "node", ("node", "{bin}/run_knex.mjs")),
    Tool("drizzle-kit", "node", ("node", "{bin}/run_drizzle.mjs")),
    Tool("server-postgres (MCP)", "node", ("node", "{bin}/run_mcp.mjs", "{url}"), differs=("escape",)),
]


def home_of(tool: Tool) -> Path:
    """The folder with the tool's programs."""

    def build(folder: Path) -> None:
        run(sys.executable, "-m", "venv", "env", folder=folder, seconds=300)
        install = ("install", "--disable-pip-version-check", "-r", f"{tool.home}.txt")
        # Its own programs would look for it where it was made: they are run as modules of its python.
        run(folder / "env" / "bin" / "python", "-m", "pip", *install, folder=folder, seconds=900)

    def install(folder: Path) -> None:
        flags = ("--no-audit", "--no-fund", "--ignore-scripts")
        run("npm", "install", *flags, folder=folder, seconds=900)

    def compile_java(folder: Path) -> None:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        run("mvn", "-q", "-B", copy, "-DoutputDirectory=lib", folder=folder, seconds=600)
        run("javac", "-cp", "lib/*", "RunJava.java", folder=folder, seconds=200)

    if tool.home == "java":
        need("java", "javac", "mvn")
        return cached("tools-java", sorted((HERE / "java").iterdir()), compile_java)
    if tool.home == "node":
        need("node", "npm")
        return cached("tools-node", sorted((HERE / "node").iterdir()), install)
    if tool.home is None:
        need(tool.command[0])
        return Path()
    return cached(f"tools-{tool.home}", [HERE / "requirements" / f"{tool.home}.txt"], build) / "env" / "bin"


@asynccontextmanager
async def on_tcp(database: DemoDatabase) -> AsyncIterator[int]:
    """A port of this machine that leads to the server's Unix socket: not every tool speaks through one."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(str(database.socket_dir / f".s.PGSQL.{database.port}"))
        for ends in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(pump(*ends))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def served(database: DemoDatabase, folder: Path) -> World:
    """pgjit before it, with a connection that is named as the database and has the schema of the shop in its path."""
    policies = folder / "only-reading"
    policies.mkdir()
    (policies / "reader.yaml").write_text(POLICY.replace("prod-replica", database.database))
    secret = folder / "secret"
    secret.write_text(database.password)
    login = {
        "host": str(database.socket_dir), "port": database.port, "database": database.database,
        "user": database.user, "password": {"file": str(secret)}, "search_path": "app, public",
    }  # fmt: skip
    return open_world(database, folder, config={"connections": {database.database: login}}, policies=policies)


async def ran(tool: Tool, home: Path, folder: Path, place: dict[str, str]) -> Finished:
    folder.mkdir()
    address = (
        f"postgresql://{place['PGUSER']}:{place['PGPASSWORD']}@{place['PGHOST']}:{place['PGPORT']}/"
        f"{place['PGDATABASE']}?sslmode={place['PGSSLMODE']}"
    )
    if "PGSSLROOTCERT" in place:
        address += f"&sslrootcert={place['PGSSLROOTCERT']}"
    command = [part.format(bin=home, url=address) for part in tool.command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    own = {"HOME": str(folder), "NO_COLOR": "1", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
    return await finish_async(*command, env={**environment, **own, **place}, cwd=folder, seconds=SECONDS)


def lines_of(said: Finished, tool: Tool) -> list[str]:
    """What it printed, without what differs from one run to the next."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x", said.out)
    return [line for line in text.splitlines() if not line.startswith(tool.differs or ("\0",))]


@pytest.mark.tools
@pytest.mark.timeout(1500)  # the first run fetches packages
@pytest.mark.parametrize("tool", TOOLS, ids=str)
async def test_a_tool_prints_through_pgjit_what_it_prints_directly(
    tool: Tool, everyday_database: DemoDatabase, tmp_path: Path
) -> None:
    home = await asyncio.to_thread(home_of, tool)
    database = everyday_database
    if tool.there:
        administrator = await asyncpg.connect(database.superuser_dsn)
        await administrator.execute(tool.there)
        await administrator.close()
    async with on_tcp(database) as port, served(database, tmp_path) as world:
        direct = await ran(tool, home, tmp_path / "direct", {
            "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": database.database, "PGUSER": database.user,
            "PGPASSWORD": database.password, "PGSSLMODE": "disable", "PGOPTIONS": "-c search_path=app,public",
        })  # fmt: skip
        through = await ran(tool, home, tmp_path / "through", {
            "PGHOST": "localhost", "PGPORT": str(world.app.port), "PGDATABASE": database.database, "PGUSER": "reader",
            "PGPASSWORD": await world.token(add_reader(world)), "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(world.certificates.authority), "PGOPTIONS": "-c search_path=app,public",
        })  # fmt: skip
    assert lines_of(through, tool) == lines_of(direct, tool), through.err[-2000:]
    assert through.status == direct.status, through.err[-2000:]
    assert direct.out.strip(), direct.err[-2000:]
    for name in tool.differs:
        line, *_ = [line for line in through.out.splitlines() if line.startswith(name)]
        assert re.search(r"not allowed|failed", line), line


@pytest.mark.parametrize("tool", TOOLS, ids=str)
def test_each_tool_has_its_row_in_the_documentation(tool: Tool) -> None:
    assert re.search(rf"^\| {re.escape(tool.name)} ", CLIENTS.read_text("utf-8"), re.MULTILINE)


def test_every_program_is_of_a_tool() -> None:
    used = {Path(part).name for tool in TOOLS for part in tool.command}
    programs = {path.name for folder in (PROGRAMS, HERE / "node") for path in folder.iterdir() if path.is_file()}
    assert programs - used == {"place.py", "place.mjs", "package.json"}
