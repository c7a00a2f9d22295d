"""What tools ask of a database before anybody has asked them anything: types, tables, keys, indexes."""

from __future__ import annotations

import asyncio
import enum
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.range import RangeInfo

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.everyday import direct_conninfo, open_everyday
from tests.e2e.matrix.toolchains import HERE as MATRIX
from tests.e2e.matrix.toolchains import cached, run
from tests.e2e.worlds import add_reader
from tests.run.programs import need

METADATA = Path(__file__).parent / "tools" / "Metadata.java"
SEARCH_PATH_IS_PINNED = {"set schema": "42501"}


class State(enum.Enum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    SHIPPED = "shipped"


@pytest.fixture
async def everyday(everyday_database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with open_everyday(everyday_database, tmp_path) as served:
        yield served


def reflected(conninfo: str) -> dict[str, Any]:
    """All that SQLAlchemy's inspector tells of a schema, and what it makes tables of."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=sqlalchemy.NullPool
    )
    inspector = sqlalchemy.inspect(engine)
    whole = [name for name in dir(inspector) if name.startswith("get_multi_")]
    names = ["get_table_names", "get_view_names", "get_materialized_view_names", "get_sequence_names", "get_enums",
             "get_domains", "get_foreign_table_names", "get_sorted_table_and_fkc_names"]  # fmt: skip
    kind = sqlalchemy.engine.reflection.ObjectKind.ANY
    told: dict[str, Any] = {name: repr(getattr(inspector, name)(schema="app")) for name in names}
    told |= {name: repr(getattr(inspector, name)(schema="app", kind=kind)) for name in whole}
    told["get_schema_names"] = repr(inspector.get_schema_names())
    told["get_view_definition"] = inspector.get_view_definition("open_orders", schema="app")
    told["has"] = [
        inspector.has_table("users", schema="app"),
        inspector.has_index("orders", "orders_open", schema="app"),
    ]
    tables = sqlalchemy.MetaData()
    tables.reflect(engine, schema="app", views=True)
    told["tables"] = sorted(f"{name}: {table.columns.keys()}" for name, table in tables.tables.items())
    orders = tables.tables["app.orders"]
    with engine.connect() as connection:
        question = sqlalchemy.select(orders.c.id).where(orders.c.state.in_(["open", "paid"])).order_by(orders.c.id)
        told["rows"] = connection.execute(question.limit(5)).scalars().all()
        cast = sqlalchemy.select(sqlalchemy.cast("open", orders.c.state.type))
        told["cast"] = connection.execute(cast).scalar_one()
    return told


@pytest.mark.filterwarnings("ignore:Did not recognize type:sqlalchemy.exc.SAWarning")
async def test_sqlalchemy_reflects_the_same_as_without_pgjit(
    everyday: World, everyday_database: DemoDatabase
) -> None:
    token = await everyday.token(add_reader(everyday))
    through = await asyncio.to_thread(reflected, f"{everyday.conninfo('reader')} password={token}")
    assert through == await asyncio.to_thread(reflected, direct_conninfo(everyday_database))
    assert len(through["tables"]) >= 10


async def test_psycopg_finds_types_and_takes_enums_as_parameters(everyday: World) -> None:
    token = await everyday.token(add_reader(everyday))
    async with await psycopg.AsyncConnection.connect(
        everyday.conninfo("reader"), password=token, autocommit=True
    ) as connection:
        found = await EnumInfo.fetch(connection, "app.state")
        assert found is not None
        register_enum(found, connection, State, mapping={state: state.value for state in State})
        home = await CompositeInfo.fetch(connection, "app.address")
        assert home is not None
        register_composite(home, connection)
        assert await RangeInfo.fetch(connection, "app.hours") is not None
        assert await TypeInfo.fetch(connection, "mood") is not None
        for question, values in (
            ("SELECT state FROM app.orders WHERE state = %s LIMIT 1", State.OPEN),
            ("SELECT state FROM app.orders WHERE state = %b LIMIT 1", State.OPEN),
            ("SELECT state FROM app.orders WHERE state = ANY (%s) LIMIT 1", [State.OPEN]),
        ):
            for binary in (False, True):
                cursor = await connection.execute(question.encode(), (values,), binary=binary)
                assert await cursor.fetchone() == (State.OPEN,)
        cursor = await connection.execute("SELECT home FROM app.users LIMIT 1")
        row = await cursor.fetchone()
        assert row is not None
        assert row[0].city == "b"
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege, match="type of parameter \\$1 is not a built-in type"
        ):
            await connection.execute("SELECT %s", (row[0],))  # its fields may be of any type


async def test_asyncpg_finds_out_what_values_of_types_of_the_database_are(everyday: World) -> None:
    context = ssl.create_default_context(cafile=str(everyday.certificates.authority))
    token = await everyday.token(add_reader(everyday))
    connection = await asyncpg.connect(
        host="localhost", port=everyday.app.port, user="reader", database="prod-replica", password=token, ssl=context
    )
    try:
        assert await connection.fetchval("SELECT history FROM app.orders LIMIT 1") == ["draft", "open"]
        assert await connection.fetchval("SELECT home FROM app.users LIMIT 1") == ("a", "b", "c")
        assert await connection.fetchval("SELECT hours FROM app.bookings") is not None
        assert await connection.fetch("SELECT mail, price FROM app.users, app.products LIMIT 1")
        assert await connection.fetch("SELECT id FROM app.orders WHERE state = $1 LIMIT 1", "open")
        assert await connection.fetch("SELECT id FROM app.orders WHERE state = ANY ($1) LIMIT 1", ["open"])
        await connection.set_type_codec("state", schema="app", encoder=str, decoder=str.upper)
        assert await connection.fetchval("SELECT 'open'::app.state") == "OPEN"
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        assert (await connection.fetchval("SELECT settings FROM app.users LIMIT 1"))["theme"] == "dark"
        prepared = await connection.prepare("SELECT id FROM app.orders WHERE state = $1")
        assert await prepared.explain("open", analyze=True)
        async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
            assert await connection.fetchval("SELECT 1") == 1
        await connection.reset()
    finally:
        await connection.close()


def _java() -> list[str]:
    def build(folder: Path) -> None:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        for artifact in (MATRIX / "java" / "driver.txt").read_text().split():
            run("mvn", "-q", "-B", copy, f"-Dartifact={artifact}", "-DoutputDirectory=.", folder=folder, seconds=200)
        run("javac", "-cp", "*", METADATA.name, folder=folder, seconds=60)

    need("java", "javac", "mvn")
    home = cached("metadata-java", [METADATA, MATRIX / "java" / "driver.txt"], build)
    return [shutil.which("java") or "java", "-cp", f"{home}:{home}/*", "Metadata"]


@pytest.mark.foreign
@pytest.mark.timeout(400)  # a first build fetches the driver
async def test_every_method_of_jdbcs_metadata_is_answered(everyday: World) -> None:
    command = await asyncio.to_thread(_java)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={
            "PGHOST": "localhost", "PGPORT": str(everyday.app.port), "PGDATABASE": "prod-replica",
            "PGUSER": "reader", "PGPASSWORD": await everyday.token(add_reader(everyday)),
            "PGSSLROOTCERT": str(everyday.certificates.authority),
        },
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 90)
    ended = dict(line.split("\t") for line in out.decode().splitlines())
    assert len(ended) > 200, err.decode()[-2000:]
    assert {name: how for name, how in ended.items() if how not in ("ok", "unsupported")} == SEARCH_PATH_IS_PINNED
