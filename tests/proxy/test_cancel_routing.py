"""Cancel requests over workers and nodes: who looks, who cancels, and what a stranger can make nodes do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.fleet_key import FleetKey
from pgjit.grants.fleet_store import FleetStore
from pgjit.proxy import cancel_routing
from pgjit.proxy.cancel_key import digest_of, node_id, node_of
from pgjit.proxy.cancel_routing import CancelRouter
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.fleet_message import CancelAsked, write_message
from pgjit.proxy.registry import RegisteredSession, Registry
from pgjit.telemetry import Telemetry
from pgwire.messages.startup import CancelRequest
from tests.run.waiting import a_while, until

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
OLD = FleetKey(1, NOW - timedelta(days=40), b"1" * 32)
STRANGER = ClientAddress.of("192.0.2.66", 1)


@dataclass(eq=False)
class Live:
    """As much of a session as a cancel request needs."""

    backend_pid: int
    cancel_secret: bytes
    cancelled: int = 0
    window_id = identity_key = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def cancel(self) -> None:
        self.cancelled += 1
        await self.over.wait()


class Line:
    """The store of a fleet, as far as nodes send each other messages."""

    def __init__(self) -> None:
        self.keys = [OLD]
        self.sent: list[str] = []
        self.lose = 0  # so many messages from now on
        self.fails = False
        self.receivers: list[Callable[[str], None]] = []

    async def send(self, text: str) -> None:
        if self.fails:
            raise ServerUnavailable("window store cannot be used", reference="store-unavailable")
        self.sent.append(text)
        self.lose -= 1
        if self.lose < 0:
            for receive in self.receivers:
                receive(text)


class OnLine:
    """The line as one node has it."""

    def __init__(self, line: Line, *, shared: bool = True) -> None:
        self.line = line
        self.shared = shared

    async def fleet_keys(self, now: datetime) -> list[FleetKey]:
        return list(self.line.keys)

    def on_message(self, receive: Callable[[str], None]) -> None:
        self.line.receivers.append(receive)

    async def send_message(self, text: str) -> None:
        await self.line.send(text)


@dataclass
class Hourglass:
    """Time passes only where a request waits for its rate."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    stands: bool = False  # it stands still: requests come all at once
    endless: bool = False  # whoever waits waits on

    def steady(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.endless:
            await asyncio.Event().wait()
        if not self.stands:
            self.now += seconds


@dataclass
class Node:
    name: str
    registry: Registry
    router: CancelRouter
    time: Hourglass

    def session(self, minor: int, pid: int = 7) -> Live:
        live = Live(pid, self.router.new_secret(minor, pid))
        live.over.set()
        self.registry.add(f"s_{self.name}_{id(live)}", cast(RegisteredSession, live))
        return live

    async def cancel(self, pid: int, secret: bytes, client: ClientAddress = STRANGER) -> None:
        await self.router.cancel(CancelRequest(pid, secret), client)

    async def cancels(self, live: Live, client: ClientAddress = STRANGER) -> None:
        await self.cancel(live.backend_pid, live.cancel_secret, client)

    def found(self, where: str) -> int:
        return int(self.router._telemetry.metrics.cancels.of(where).value)


def node(name: str) -> Node:
    registry, hourglass = Registry(), Hourglass()
    router = CancelRouter(
        registry, lambda: NOW, Telemetry(version="0"), name, steady=hourglass.steady, pause=hourglass.pause
    )
    return Node(name, registry, router, hourglass)


@asynccontextmanager
async def fleet(line: Line, *names: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        nodes = [node(name) for name in names]
        for each in nodes:
            await stack.enter_async_context(each.router.in_fleet(cast(FleetStore, OnLine(line))))
        yield nodes


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_routing, "_ATTEMPT_SECONDS", 0.02)


@pytest.mark.parametrize("minor", [0, 2])
async def test_a_key_cancels_on_whichever_node_the_request_arrives(minor: int) -> None:
    line = Line()
    async with fleet(line, "one", "two", "three") as (one, two, three):
        mine, twin = one.session(minor), three.session(minor)  # on different servers, with the same pid
        for each in (one, two, three):
            await each.cancels(mine)
        assert (mine.cancelled, twin.cancelled) == (3, 0)
        assert (one.found("here"), two.found("node"), three.found("node")) == (1, 1, 1)
    assert not any(mine.cancel_secret.hex() in text for text in line.sent)


async def test_the_connection_stays_until_the_owner_has_answered() -> None:
    async with fleet(Line(), "one", "two") as (one, two):
        live = one.session(2)
        live.over.clear()
        asking = asyncio.create_task(two.cancels(live))
        while not live.cancelled:
            await asyncio.sleep(0)
        assert not asking.done()
        live.over.set()
        await asyncio.wait_for(asking, 60)
        assert two.found("node") == 1


async def test_an_owner_that_does_not_answer_is_not_waited_for_and_cancels_once() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(2)
        live.over.clear()
        await asyncio.wait_for(two.cancels(live), 60)
        assert (live.cancelled, two.found("unknown")) == (1, 1)
        assert len(line.sent) == 2, "asked twice, in case the first was lost"


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_message_that_is_lost_is_sent_again_and_the_session_is_cancelled_once(lost: int) -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(0)
        line.lose = 0
        send = line.send

        async def lossy(text: str) -> None:
            line.lose = 1 if len(line.sent) + 1 == lost else 0  # the question, or its answer
            await send(text)

        line.send = lossy  # type: ignore[method-assign]
        await two.cancels(live)
        assert (live.cancelled, two.found("node")) == (1, 1)


async def test_a_key_of_a_session_that_is_gone_is_answered_by_the_node_that_made_it() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        secret = one.router.new_secret(2, 7)
        await two.cancel(7, secret)
        assert (len(line.sent), two.found("node")) == (2, 1)
        await one.cancel(7, secret)
        assert (len(line.sent), one.found("unknown")) == (2, 1)


async def test_keys_that_no_node_made_make_no_node_do_anything() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(2)
        forged = bytearray(live.cancel_secret)
        forged[-1] ^= 1
        for secret in (bytes(forged), bytes(32), b"\1" * 32, b"12345", b"x" * 256, live.cancel_secret + b"x"):
            await two.cancel(7, secret)
        await two.cancel(8, live.cancel_secret)
        assert (line.sent, live.cancelled, two.found("unknown")) == ([], 0, 7)


@pytest.mark.parametrize(("minor", "rate"), [(0, 10), (2, 5)])
async def test_a_client_that_cancels_above_its_rate_is_slowed_down_and_loses_nothing(minor: int, rate: int) -> None:
    async with fleet(Line(), "one", "two") as (one, two):
        live = one.session(minor)
        for _ in range(100):
            await two.cancels(live)
        assert (live.cancelled, two.found("node"), two.found("limited")) == (100, 100, 0)
        burst = rate * 2
        assert two.time.now == pytest.approx((100 - burst - 1) / rate, abs=0.2)
        assert max(two.time.pauses) <= 1 / rate + 1e-6


@pytest.mark.parametrize("at_once", [20, 40])
async def test_many_clients_behind_one_address_wait_for_each_other(at_once: int) -> None:
    async with fleet(Line(), "one", "two") as (one, two):
        two.time.stands = True
        sessions = [one.session(0, pid) for pid in range(at_once)]
        await asyncio.gather(*(two.cancels(live) for live in sessions))
        assert [live.cancelled for live in sessions] == [1] * at_once
        assert max(two.time.pauses, default=0) == pytest.approx(max(0, at_once - 21) / 10)


async def test_strangers_are_slowed_down_and_clients_of_3_2_are_not() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        two.time.stands = True
        honest = [one.session(2, pid) for pid in range(20)]
        guesses = [two.cancel(7, number.to_bytes(4), STRANGER) for number in range(200)]
        await asyncio.gather(*guesses)
        of_one_address = two.found("unknown")
        assert 40 <= of_one_address <= 41, "the burst, and what waits"
        assert two.found("limited") == 200 - of_one_address
        assert max(two.time.pauses) <= 2.0
        others = [ClientAddress.of(f"198.51.{last % 4}.{last}", 1) for last in range(200)]
        await asyncio.gather(*(two.cancel(7, bytes([1, 2, 3, n]), other) for n, other in enumerate(others)))
        assert 200 <= two.found("unknown") <= 201, "and all of them together"
        assert max(two.time.pauses) <= 2.0
        sent, limited = len(line.sent), two.found("limited")
        await asyncio.gather(*(two.cancels(live) for live in honest))
        assert [live.cancelled for live in honest] == [1] * 20
        for _ in range(50):
            await two.cancels(honest[0])
        assert honest[0].cancelled <= 22, "a holder of a key has a rate too"
        assert honest[0].cancelled + two.found("limited") - limited == 51, "what was dropped is counted"
        assert len(line.sent) - sent <= 2 * (20 + 21)


async def test_a_request_that_waits_is_joined_by_others_with_its_key() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        two.time.stands = True
        live = one.session(2)
        for _ in range(11):
            await two.cancels(live)
        await asyncio.gather(*(two.cancels(live) for _ in range(50)))
        assert (live.cancelled, len(two.time.pauses), two.found("limited")) == (12, 1, 0)


async def test_a_request_that_waits_is_given_up_when_its_node_stops() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        two.time.endless = True
        live = one.session(2)
        for _ in range(11):
            await two.cancels(live)
        waiting, sent = asyncio.create_task(two.cancels(live)), len(line.sent)
        await until(lambda: two.time.pauses)
    await asyncio.wait_for(waiting, 60)
    assert (live.cancelled, len(line.sent)) == (11, sent)
    assert not two.router._looking


async def test_many_requests_with_one_key_are_one() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(2)
        live.over.clear()
        asking = [asyncio.create_task(two.cancels(live)) for _ in range(50)]
        while not live.cancelled:
            await asyncio.sleep(0)
        live.over.set()
        await asyncio.gather(*asking)
        assert (live.cancelled, len(line.sent)) == (1, 2)
        assert not two.router._looking
        assert not two.router._asked


async def test_a_message_that_is_sent_again_by_somebody_else_cancels_nothing_more() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(0)
        await two.cancels(live)
        for text in list(line.sent):
            for receive in line.receivers:
                receive(text)
                receive("anything")
        stale = CancelAsked("0" * 32, None, 7, digest_of(OLD, 7, live.cancel_secret))
        line.receivers[0](write_message(stale, OLD, NOW - timedelta(minutes=1)))
        await a_while(0.05)
        assert live.cancelled == 1


async def test_a_worker_of_the_same_node_is_looked_in_before_other_nodes() -> None:
    line, seen = Line(), list[tuple[int, bytes]]()
    async with fleet(line, "one", "two") as (_, two):
        live = two.session(0, 9)

        async def siblings(pid: int, secret: bytes) -> bool:
            seen.append((pid, secret))
            return pid == 7

        two.router.siblings = siblings
        await two.cancel(7, b"abcd")
        assert (seen, line.sent, two.found("worker")) == ([(7, b"abcd")], [], 1)
        assert await two.registry.cancel(9, live.cancel_secret)
        assert not await two.registry.cancel(9, b"abcd")
        await two.cancel(8, b"abcd")
        assert (len(seen), len(line.sent)) == (2, 2)


async def test_with_a_store_of_its_own_a_node_sends_nothing_and_its_secrets_name_nobody() -> None:
    line, alone = Line(), node("one")
    async with alone.router.in_fleet(cast(FleetStore, OnLine(line, shared=False))):
        live = alone.session(2)
        assert node_of([OLD], 7, live.cancel_secret) is None
        await alone.cancels(live)
        await alone.cancel(7, b"abcd")
        assert (live.cancelled, alone.found("here"), alone.found("unknown"), line.sent) == (1, 1, 1, [])


async def test_a_store_that_is_lost_costs_only_the_requests_for_other_nodes() -> None:
    line = Line()
    async with fleet(line, "one", "two") as (one, two):
        live = one.session(2)
        line.fails = True
        await two.cancels(live)
        assert (live.cancelled, two.found("unknown")) == (0, 1)
        await one.cancels(live)
        assert live.cancelled == 1


async def test_a_new_key_is_used_when_every_node_knows_it() -> None:
    line = Line()
    newer, newest = (FleetKey(n, NOW - timedelta(minutes=m), bytes([n]) * 32) for n, m in ((2, 4), (3, 1)))
    line.keys = [OLD, newer, newest]
    async with fleet(line, "one") as (one,):
        secret = one.router.new_secret(2, 7)
        assert (node_of([newer], 7, secret) is None, node_of([newest], 7, secret)) == (False, None)
    line.keys = [newest]
    async with fleet(line, "one") as (one,):
        made = node_of([newest], 7, one.router.new_secret(2, 7))
        assert made is not None
        assert made.node == node_id("one")


async def test_a_message_under_a_key_that_is_not_known_yet_makes_the_node_read_the_keys() -> None:
    line = Line()
    async with fleet(line, "one") as (one,):
        newer = FleetKey(2, NOW, b"2" * 32)
        live = one.session(0)
        line.keys.append(newer)
        asked = CancelAsked("0" * 32, None, 7, digest_of(newer, 7, live.cancel_secret))
        async with asyncio.timeout(60):
            while not live.cancelled:
                line.receivers[0](write_message(asked, newer, NOW))
                await a_while(0.01)
