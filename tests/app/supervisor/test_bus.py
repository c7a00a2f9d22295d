"""Both ends of a bus: answers, faults of the peer, and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pgjit.app.supervisor.bus import Bus, BusClosed
from pgjit.app.supervisor.bus_message import (
    Admitted,
    BusFault,
    BusMessage,
    CancelAnswer,
    CancelAsk,
    DrainOrder,
    EnterAsk,
    Left,
    NewLimits,
    PlaceAnswer,
    PlaceAsk,
    PlaceLeft,
    WorkerReady,
    WorkerStart,
    encoded,
)
from pgjit.app.supervisor.worker_bus import WorkerBus, read_start
from pgjit.config import LimitsSection
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.siblings import SharedAdmission, SupervisorGone
from tests.run.waiting import until

ANN = HolderKey(IdentityKey("t", "ann"))


class Supervising:
    """The supervisor's end, and a worker."""

    def __init__(self, bus: Bus, worker: WorkerBus, endpoint: socket.socket) -> None:
        self.bus = bus
        self.worker = worker
        self.endpoint = endpoint
        self.received: asyncio.Queue[BusMessage] = asyncio.Queue()

    async def next(self) -> BusMessage:
        async with asyncio.timeout(30):
            return await self.received.get()


@asynccontextmanager
async def supervising() -> AsyncIterator[Supervising]:
    ours, theirs = socket.socketpair()
    bus = await Bus.on(ours)
    async with WorkerBus.open(theirs) as worker:
        both = Supervising(bus, worker, ours)
        receiving = asyncio.create_task(bus.receive(both.received.put_nowait))
        try:
            yield both
        finally:
            bus.close()
            await receiving


async def test_a_worker_asks_and_gets_the_answer_to_its_own_question() -> None:
    async with supervising() as both:
        both.worker.ready()
        assert await both.next() == WorkerReady()
        asked = [asyncio.create_task(both.worker.enter(name)) for name in ("a", "b")]
        first, second = await both.next(), await both.next()
        assert isinstance(first, EnterAsk)
        assert isinstance(second, EnterAsk)
        both.bus.send(Admitted(number=second.number, accepted=False, limit="connections"))
        both.bus.send(Admitted(number=first.number, accepted=True))
        assert await asyncio.gather(*asked) == [
            SharedAdmission(accepted=True), SharedAdmission(accepted=False, limit="connections"),
        ]  # fmt: skip
        both.worker.leave("a")
        assert await both.next() == Left(network="a")


async def test_a_worker_reports_limits_that_it_has_read_again() -> None:
    async with supervising() as both:
        both.worker.follow(LimitsSection(connections=7, drain_seconds=100, drain_delay_seconds=20))
        limits = await both.next()
        assert isinstance(limits, NewLimits)
        assert (limits.connections, limits.of_address, limits.of_identity) == (7, 100, 20)
        assert limits.drain > 120


async def test_a_login_that_ends_while_it_waits_gives_back_what_the_answer_brings() -> None:
    async with supervising() as both:
        asked = [asyncio.create_task(each) for each in (both.worker.take_place(ANN), both.worker.enter("a"))]
        asks = [await both.next(), await both.next()]
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for ask in asks:
            if isinstance(ask, PlaceAsk):
                both.bus.send(PlaceAnswer(number=ask.number, taken=True))
            elif isinstance(ask, EnterAsk):
                both.bus.send(Admitted(number=ask.number, accepted=True))
        returned = [await both.next(), await both.next()]
        assert {type(each) for each in returned} == {PlaceLeft, Left}


async def test_a_worker_answers_whether_it_has_cancelled() -> None:
    async def cancel_here(pid: int, secret: bytes) -> bool:
        return (pid, secret) == (7, b"\x01\x02")

    async with supervising() as both:
        both.worker.answer_cancels(cancel_here)
        for secret, found in (("0102", True), ("0103", False)):

            def ask(number: int, secret: str = secret) -> CancelAsk:
                return CancelAsk(number=number, pid=7, secret=secret)

            assert (await both.bus.ask(CancelAnswer, ask)).found is found
        assert not await both.worker.cancel(7, b""), "no key is empty: nobody is asked"


async def test_without_the_supervisor_nobody_is_let_in_and_the_worker_drains() -> None:
    async with supervising() as both:
        waiting = asyncio.create_task(both.worker.take_place(ANN))
        assert isinstance(await both.next(), PlaceAsk)
        both.bus.close()
        with pytest.raises(SupervisorGone, match="has lost its supervisor"):
            await waiting
        async with asyncio.timeout(30):
            await both.worker.ordered.wait()
        assert both.worker.order is None
        assert await both.worker.enter("a") == SharedAdmission(accepted=False)
        with pytest.raises(SupervisorGone):
            await both.worker.take_place(ANN)
        assert not await both.worker.cancel(1, b"1")
        both.worker.leave("a")


async def test_an_order_to_drain_is_kept() -> None:
    async with supervising() as both:
        both.bus.send(order := DrainOrder(delayed=True, keeps_queue=False))
        async with asyncio.timeout(30):
            await both.worker.ordered.wait()
        assert both.worker.order == order


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\n", b"x" * 200_000, encoded(PlaceAnswer(number=1, taken=True))],
    ids=["no message", "no end of a line", "an answer of another kind"],
)
async def test_a_peer_that_sends_what_is_no_message_is_cut_off(sent: bytes) -> None:
    async with supervising() as both:
        asking = asyncio.create_task(both.worker.enter("a"))
        await both.next()
        await asyncio.get_running_loop().sock_sendall(both.endpoint, sent)
        assert await asking == SharedAdmission(accepted=False)
        async with asyncio.timeout(30):
            await until(lambda: both.bus.closed)
        with pytest.raises(BusClosed):
            await both.bus.ask(CancelAnswer, lambda number: CancelAsk(number=number, pid=1, secret="00"))


async def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        bus = await Bus.on(ours)
        for _ in range(100_000):
            bus.send(Left(network="a" * 500))
            if bus.closed:
                break
        assert bus.closed


def test_the_first_message_is_read_alone() -> None:
    start = WorkerStart(name="a.1", run="r", dead=[], held=True, descriptors=[])
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(encoded(start) + encoded(WorkerReady()))
        read, endpoint = read_start(theirs.detach())
        with endpoint:
            assert read == start
            assert endpoint.recv(1000) == encoded(WorkerReady())


@pytest.mark.parametrize("sent", [b"", b"{}\n", encoded(WorkerReady()), b"x" * 70_000])
def test_a_first_message_of_another_kind_is_a_fault(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(BusFault):
            read_start(theirs.detach())
