"""Policies and health of a whole proxy over HTTP: what is explained is what a session is answered."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.test_http_api import ADMINS, add_person, api_world, client, token_of
from tests.e2e.worlds import add_reader


async def test_an_explanation_is_what_a_session_is_answered(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        password = await world.token(add_reader(world))
        async with client(world, token_of(world, admin)) as api:

            async def explained(sql: str) -> dict[str, object]:
                answer = await api.post("policies/reader/explain", json={"sql": sql})
                assert answer.status_code == 200, answer.text
                found: dict[str, object] = answer.json()
                return found

            assert (await explained("SELECT 1"))["catalog"] is None
            async with await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password) as agent:
                for sql in ("SELECT * FROM no_such_table", "DROP TABLE orders", "SELECT pg_read_file('x')"):
                    with pytest.raises(psycopg.Error) as refused:
                        await agent.execute(sql)
                    await agent.rollback()
                    found = await explained(sql)
                    first = found["violations"][0]  # type: ignore[index]
                    assert first["message"] == refused.value.diag.message_primary
                    assert (found["decision"], first["sqlstate"]) == ("deny", refused.value.sqlstate)
                assert found["catalog"] is not None
                await agent.execute("SELECT count(*) FROM orders")
                assert (await explained("SELECT count(*) FROM orders"))["decision"] == "allow"
            file = (await api.get("policies/reader/file")).json()
            path = Path(file["on_disk"]["source"])
            assert (file["text"], file["on_disk"]["state"]) == (path.read_text(), "in-force")
            assert (await api.get("policies/reader/tests")).json()["faults"] == []


async def test_health_has_the_checks_of_the_admin_port(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        async with client(world, token_of(world, admin)) as api:
            health = (await api.get("health")).json()
    assert health["status"] == "ready"
    assert {"store", "journal", "keys", "clock"} <= {each["name"] for each in health["checks"]}
