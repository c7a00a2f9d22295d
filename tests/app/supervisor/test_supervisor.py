"""The supervisor with workers that only speak on the bus: starts, deaths, replacements and stops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.app.supervisor import supervisor as room
from pgjit.app.supervisor import worker_child
from pgjit.app.supervisor.admin_pages import supervisor_pages
from pgjit.app.supervisor.supervisor import Supervisor, WorkerFailed
from pgjit.app.supervisor.worker_slot import SlotState
from pgjit.config import load_config
from pgjit.demo.certificates import make_certificates
from tests.run.processes import OWNED
from tests.run.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
POLICIES = Path(__file__).parents[3] / "policies"
PLAYED = Path(__file__).with_name("played_worker.py")


class Played(Supervisor):
    """Each of its workers is a child of this test, which owns it."""

    folder: Path

    def plan(self, plan: str) -> None:
        (self.folder / "plan").write_text(plan)

    @property
    def started(self) -> list[list[str]]:
        """Name, run and dead runs of each worker that was started."""
        return [line.split(" ") for line in (self.folder / "started").read_text().splitlines()]

    def pid(self, name: str) -> int:
        [child] = [child for child in self.children if child.name == name]
        return child.process.pid

    @property
    def states(self) -> list[SlotState]:
        return [slot.state for slot in self.slots]

    @property
    def names(self) -> list[str]:
        return [slot.worker.name for slot in self.slots if slot.worker is not None]

    async def who(self) -> str:
        """The name of the worker that takes a connection."""
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            name = (await reader.read()).decode()
        writer.close()
        return name


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Played]:
    make_certificates(tmp_path)
    path = tmp_path / "pgjit.yaml"
    connection = {"host": "a", "database": "shop", "user": "ann"}
    path.write_text(
        yaml.safe_dump(
            {
                "node": "a",
                "workers": 2,
                "listen": {"port": 0},
                "tls": {"certificate": "server.crt", "key": "server.key"},
                "identity": {
                    "tenant": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                    "audience": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
                },
                "policies": str(POLICIES),
                "connections": {name: {**connection} for name in ("prod-replica", "prod-primary")},
                "store": {"kind": "postgres", "url": "postgresql://pgjit@db.internal/pgjit"},
            }
        )
    )
    monkeypatch.setattr(room, "_COMMAND", (sys.executable, "-P", str(PLAYED)))
    monkeypatch.setattr(room, "_NAME_SECONDS", 0.01)

    def make() -> Played:
        made = Played(load_config(path), path, InheritedSockets())
        made.folder = tmp_path
        made.plan("serve")
        return made

    return make


@asynccontextmanager
async def running(supervisor: Played) -> AsyncIterator[Played]:
    await supervisor.start()
    OWNED.update(child.process.pid for child in supervisor.children)
    try:
        yield supervisor
    finally:
        await supervisor.stop(30)
    assert not supervisor.children


async def test_every_slot_serves_and_a_stop_ends_all_in_order(new: Callable[[], Played]) -> None:
    async with running(new()) as both:
        assert (both.states, both.names) == ([SlotState.SERVING] * 2, ["a.1", "a.2"])
        assert {await both.who() for _ in range(40)} == {"a.1", "a.2"}
    assert both.states == [SlotState.STOPPING] * 2
    assert not list((both.folder / "journal").glob("*.running"))
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", both.port)


async def test_a_killed_worker_is_replaced_under_its_name_and_its_run_is_named_as_dead(
    new: Callable[[], Played],
) -> None:
    async with running(new()) as both:
        for _ in range(2):
            killed = both.pid("a.1")
            os.kill(killed, signal.SIGKILL)
            clients = [asyncio.create_task(both.who()) for _ in range(10)]  # some wait for the slot's next worker
            async with asyncio.timeout(60):
                await until(lambda pid=killed: both.states == [SlotState.SERVING] * 2 and both.pid("a.1") != pid)  # type: ignore[misc]
            answers = await asyncio.gather(*clients, return_exceptions=True)
            assert {each for each in answers if isinstance(each, str)} <= {"a.1", "a.2", ""}
        (first, none), (second, of_second), (_, of_third) = (
            (run, dead) for name, run, dead in both.started if name == "a.1"
        )
        assert (none, of_second, of_third) == ("", first, second)
        async with asyncio.timeout(60):  # the other worker takes over what they left
            await until(lambda: (both.folder / "taken over").read_text() == f"a.1 {first}\na.1 {second}\n")
        assert both.restarts == 2


async def test_workers_that_fail_at_the_start_end_it_with_their_status(new: Callable[[], Played]) -> None:
    both = new()
    both.plan("fail")
    with pytest.raises(WorkerFailed) as failed:
        await both.start()
    assert failed.value.status == 7
    assert not both.children


async def test_all_are_replaced_one_after_the_other_and_no_client_is_refused(new: Callable[[], Played]) -> None:
    async with running(new()) as both:
        clients = [asyncio.create_task(both.who()) for _ in range(20)]
        assert await both.replace_all()
        clients += [asyncio.create_task(both.who()) for _ in range(20)]
        assert {"a.1", "a.2", "a.3", "a.4"} >= set(await asyncio.gather(*clients))
        async with asyncio.timeout(60):
            await until(lambda: len(both.children) == 2)
        assert both.names[0] == "a.3", "the name of the worker that it replaced was taken"
        assert await both.replace_all()
        assert both.restarts == 0


async def test_a_replacement_that_fails_leaves_the_worker_that_serves(
    new: Callable[[], Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_READY_SECONDS", 0.3)
    async with running(new()) as both:
        before = [both.pid(name) for name in both.names]
        for plan in ("fail", "hang"):
            both.plan(plan)
            assert not await both.replace_all()
            async with asyncio.timeout(60):
                await until(lambda: len(both.children) == 2)
            assert [both.pid(name) for name in both.names] == before
            assert both.states == [SlotState.SERVING] * 2
        both.plan("serve")


async def test_a_worker_that_obeys_no_order_is_killed_and_counts_as_not_stopped_in_order(
    new: Callable[[], Played],
) -> None:
    both = new()
    both.plan("stay")
    async with running(both):
        pids = [both.pid(name) for name in both.names]
        async with asyncio.timeout(60):
            await both.stop(0.1)
        assert not both.children
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [path.name for path in sorted((both.folder / "journal").glob("*.running"))] == [
        "a.1.running",
        "a.2.running",
    ]


async def test_a_node_whose_workers_do_not_answer_is_alive_and_not_ready(
    new: Callable[[], Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_child, "_PAGE_SECONDS", 0.1)
    async with (
        running(new()) as both,
        httpx.AsyncClient(transport=httpx.ASGITransport(supervisor_pages(both)), base_url="http://admin") as probe,
    ):
        assert not await both.all_answer()
        assert (await probe.get("/healthz")).status_code == 200
        ready = await probe.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert {name: each["status"] for name, each in ready.json()["workers"].items()} == dict.fromkeys(
            both.names, "does not answer"
        )
        assert 'pgjit_workers{worker="supervisor",state="serving"} 2' in (await probe.get("/metrics")).text
