"""One node with two worker processes behind one port: to clients and to people it is one proxy."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgjit.audit.segments.journal_place import journals_at
from pgjit.cli.run import run
from pgjit.demo.database import DemoDatabase
from tests.e2e.reloading import edit_policy, outcome
from tests.e2e.served_workers import ADMINS, Connection, WorkersWorld, open_workers
from tests.e2e.test_http_api import add_person
from tests.e2e.worlds import add_reader, ask
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until, until_it_holds

pytestmark = pytest.mark.timeout(600)
SESSIONS = 6
CANCELS = 24
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query ~ 'sleep'"


async def test_two_workers_are_one_proxy_to_clients_and_to_people(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    limits = {"sessions_per_identity": SESSIONS, "connections_per_address": SESSIONS + 2}
    async with open_workers(database, tmp_path, store_server, limits=limits) as world, world.served():
        token = await world.token(add_reader(world))
        connections = [await world.connected(token, "reader")]
        connections += [await world.connect(token, "reader") for _ in range(SESSIONS - 1)]
        for _ in range(4):
            with pytest.raises(psycopg.OperationalError, match="too many sessions of your identity"):
                await world.connect(token, "reader")
        await _an_address_has_its_limit_on_both(world, token)
        await _cancels_reach_their_sessions(database, connections)
        await connections[0].close()
        one_more = await until_it_holds(lambda: _one_more(world, token))
        assert one_more is not None
        connections[0] = one_more
        await _a_page_has_the_metrics_of_both(world)
        await _a_reload_reaches_both(world, connections)
        await _a_revocation_reaches_both(world, connections)
        assert await world.stop() == 0
        opened = world.records("session.opened")
        assert all(opened.values()), "both have served"
        assert len(world.records_of_all("window.opened")) == len(world.records_of_all("window.ended")) == 1
        executions = world.records_of_all("execution")
        # A session may begin one more statement before its revocation reaches it.
        others = sum("email" not in each["statement"] for each in executions)
        assert CANCELS <= others <= CANCELS + SESSIONS
        _the_journals_are_read_together(world, len(executions))


async def _an_address_has_its_limit_on_both(world: WorkersWorld, token: str) -> None:
    port = int(world.places["listen"].rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):

        async def refused() -> bool:
            try:
                await (await world.connect(token, "reader")).close()
            except psycopg.OperationalError as error:
                return "too many connections from your address" in str(error)
            return False

        await until_it_holds(refused)


async def _cancels_reach_their_sessions(database: DemoDatabase, connections: list[Connection]) -> None:
    """Whichever worker a cancel request comes to."""
    for number in range(CANCELS):
        connection = connections[number % len(connections)]
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        await until_it_holds(lambda pid=connection.info.backend_pid: ask(database, RUNNING, pid))  # type: ignore[misc]
        await connection.cancel_safe(timeout=60)
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            async with asyncio.timeout(60):
                await running


async def _one_more(world: WorkersWorld, token: str) -> Connection | None:
    try:
        return await world.connect(token, "reader")
    except psycopg.OperationalError:
        return None  # the worker of the session that ended has not reported it yet


async def _a_reload_reaches_both(world: WorkersWorld, connections: list[Connection]) -> None:
    """By a signal to the supervisor, and by a call of the API, which one of them answers."""

    def reloads(least: int) -> bool:
        return all(len(each) >= least for each in world.records("config.reloaded").values())

    edit_policy(world, "reader", "access: read-only\n", "access: read-only\n  deny: [{columns: [customers.email]}]\n")
    world.process.send_signal(signal.SIGHUP)
    await until(lambda: reloads(1))
    for each in connections:
        assert await outcome(each, "SELECT email FROM customers") == "pgjit:denied"
    edit_policy(world, "reader", "  deny: [{columns: [customers.email]}]\n", "")
    async with world.api(world.people_token(add_person(world, "anna", ADMINS))) as api:
        answer = await api.post("reload")
        assert (answer.status_code, answer.json()["policies"]["changed"]) == (200, ["reader"])
    await until(lambda: reloads(2))
    for each in connections:
        assert await outcome(each, "SELECT email FROM customers") == "ran"


async def _a_page_has_the_metrics_of_both(world: WorkersWorld) -> None:
    families = {each.name: each for each in text_string_to_metric_families((await world.page("/metrics"))[1])}
    sessions = Counter[str]()
    for sample in families["pgjit_sessions"].samples:
        sessions[sample.labels["worker"]] += int(sample.value)
    assert set(sessions) == {"1", "2"}
    assert sessions.total() == SESSIONS
    states = {each.labels["state"]: each.value for each in families["pgjit_workers"].samples}
    assert states == {"serving": 2, "empty": 0, "starting": 0, "replacing": 0, "stopping": 0, "draining": 0}
    assert (await world.page("/healthz"))[0] == 200


async def _a_revocation_reaches_both(world: WorkersWorld, connections: list[Connection]) -> None:
    admin = world.people_token(add_person(world, "ann", ADMINS))
    async with world.api(admin) as api:
        sessions = (await api.get("sessions")).json()["items"]
        assert {each["node"] for each in sessions} == {"a.1", "a.2"}
        [window] = {each["window"] for each in sessions}
        response = await api.post(f"windows/{window}/revoke", json={"reason": "too broad"})
        assert response.status_code == 200, response.text
    for each in connections:
        with pytest.raises(psycopg.OperationalError, match="was revoked"):
            await each.execute("SELECT pg_sleep(600)")
        await each.close()
    async with asyncio.timeout(60):
        await until(lambda: bool(world.records_of_all("window.ended")))


def _the_journals_are_read_together(world: WorkersWorld, executions: int) -> None:
    assert [each.name for each in journals_at(world.journal) if isinstance(each, Path)] == ["a.1", "a.2"]
    config = ("--config", str(world.config_file))
    assert run(["audit", "verify", *config]) == 0
    execution = world.records_of_all("execution")[-1]["execution"]
    assert run(["audit", "prove", execution, "--out", str(world.folder / "proof"), *config]) == 0


async def test_workers_are_replaced_and_no_client_is_refused(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    done = Counter[str]()
    over = asyncio.Event()

    async def connect_again_and_again(world: WorkersWorld, token: str) -> None:
        while not over.is_set():
            connection = await world.connect(token, "reader")  # INVARIANT: nobody is refused, and nobody is cut off
            done["connected"] += 1
            try:
                await connection.execute("SELECT 1")
                done["executed"] += 1
            except psycopg.errors.AdminShutdown:
                done["drained"] += 1  # it had run nothing for a while: its worker drained
            await connection.close()

    async with open_workers(database, tmp_path, store_server) as world, world.served():
        token = await world.token(add_reader(world))
        await (await world.connected(token, "reader")).close()
        before = await world.workers()
        clients = [asyncio.create_task(connect_again_and_again(world, token)) for _ in range(3)]
        world.process.send_signal(signal.SIGUSR2)

        async def replaced() -> dict[str, int]:
            if any(each.done() for each in clients):
                await asyncio.gather(*clients)
            now = await world.workers()
            return now if len(now) == 2 and not set(now.values()) & set(before.values()) else {}

        after = await until_it_holds(replaced, seconds=180)
        then = done["connected"]
        async with asyncio.timeout(60):
            await until(lambda: done["connected"] > then + 6)
        over.set()
        await asyncio.gather(*clients)
        assert set(after) & {"a.3", "a.4"}, "the next generation has other names while the first one drains"
        assert done["executed"] + done["drained"] == done["connected"]
        assert await world.stop() == 0
        assert not list(world.journal.glob("*.running")), "all have ended in order"
        opened: list[Any] = world.records_of_all("session.opened")
        assert len(opened) == done["connected"] + 1
        print(f"replaced two workers under load: {dict(done)}")
