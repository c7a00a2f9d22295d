"""Requests about server processes share queries; each caller gets its own answer, or the fault of its query."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess
from pgjit.server import signal_batches
from pgjit.server.control_queries import Rights, Signal, SignalRequest, signal_query
from pgjit.server.signal_batches import Answer, SignalBatches
from tests.fakes.control_answers import INSTANCE, PROCESS, requests

OTHER_RUN = replace(INSTANCE, system="8824")


class Server:
    """Answers a query when the test lets it. Odd process ids are gone."""

    def __init__(self) -> None:
        self.sent: list[list[tuple[int, Signal]]] = []
        self.instances: list[ServerInstance] = []
        self.open = asyncio.Event()
        self.fault: Exception | None = None

    async def send(
        self, requests: Sequence[SignalRequest], instance: ServerInstance
    ) -> list[tuple[ProcessSighting, bool]]:
        self.sent.append([(one.process.pid, one.signal) for one in requests])
        self.instances.append(instance)
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return [
            (ProcessSighting(instance=instance, there=one.process.pid % 2 == 0), one.signal != "none")
            for one in requests
        ]


def _process(pid: int) -> ServerProcess:
    return replace(PROCESS, pid=pid)


async def _begun(batches: SignalBatches, *asked: tuple[ServerProcess, Signal]) -> list[asyncio.Task[Answer]]:
    tasks: list[asyncio.Task[Answer]] = [asyncio.create_task(batches.request(*one)) for one in asked]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_requests_that_come_while_a_query_runs_share_the_next_one() -> None:
    server = Server()
    batches = SignalBatches(server.send)
    [first] = await _begun(batches, (_process(2), "terminate"))
    later = await _begun(batches, *((_process(pid), "none") for pid in range(3, 203)), (_process(4), "cancel"))
    server.open.set()
    assert await first == (ProcessSighting(instance=INSTANCE, there=True), True)
    answers = await asyncio.gather(*later)
    assert [len(sent) for sent in server.sent] == [1, 201]
    expected = [(pid % 2 == 0, False) for pid in range(3, 203)] + [(True, True)]
    assert [(sighting.there, signalled) for sighting, signalled in answers] == expected
    await asyncio.sleep(0)
    assert batches.running == []


async def test_a_role_or_a_run_of_its_own_has_queries_of_its_own() -> None:
    """A signal that the server forbids fails a query: it must not keep others from their end."""
    server = Server()
    server.open.set()
    batches = SignalBatches(server.send)
    other_role, other_run = replace(_process(4), role=PROCESS.role + 1), replace(_process(6), instance=OTHER_RUN)
    asked: list[tuple[ServerProcess, Signal]] = [(one, "none") for one in (_process(2), other_role, other_run)]
    await asyncio.gather(*(batches.request(*one) for one in asked))
    assert sorted(server.sent) == [[(2, "none")], [(4, "none")], [(6, "none")]]
    assert OTHER_RUN in server.instances


async def test_a_fault_reaches_each_caller_of_its_query_and_no_later_one() -> None:
    server = Server()
    batches = SignalBatches(server.send)
    tasks = await _begun(batches, (_process(2), "none"), (_process(4), "none"))
    server.fault = RuntimeError("no answer")
    server.open.set()
    for task in tasks:
        with pytest.raises(RuntimeError, match="no answer"):
            await task
    server.fault = None
    assert (await batches.request(_process(2), "none"))[0].there


async def test_a_caller_that_gave_up_sends_nothing() -> None:
    server = Server()
    batches = SignalBatches(server.send)
    [first] = await _begun(batches, (_process(2), "none"))
    later = await _begun(batches, (_process(4), "terminate"), (_process(6), "none"))
    later[0].cancel()
    server.open.set()
    await asyncio.gather(first, later[1])
    assert server.sent == [[(2, "none")], [(6, "none")]]


async def test_a_query_has_a_limited_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_batches, "_MOST", 10)
    server = Server()
    server.open.set()
    batches = SignalBatches(server.send)
    await asyncio.gather(*(batches.request(_process(pid), "none") for pid in range(25)))
    assert [len(sent) for sent in server.sent] == [10, 10, 5]
    assert [pid for sent in server.sent for pid, _ in sent] == list(range(25))


async def test_closing_leaves_no_caller_waiting() -> None:
    server = Server()
    batches = SignalBatches(server.send)
    tasks = await _begun(batches, (_process(2), "none"), (_process(4), "none"))
    await batches.close()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert batches.running == []


def test_a_query_names_each_process_by_id_start_and_role() -> None:
    query = signal_query([SignalRequest(_process(2), "cancel"), SignalRequest(_process(4), "none")], Rights())
    assert requests(query) == [(2, "cancel"), (4, "none")]
    assert query.count("2026-11-24T09:30:00.123456+00:00") == 2
