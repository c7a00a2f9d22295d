"""Which sockets are ready: by epoll, and by what stands in for it where there is none."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator

import pytest

from pgjit.server.readiness import GONE, READ, WRITE, Readiness
from pgjit.server.ready_socket import wait_for_socket
from tests.run.waiting import a_while, until

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    one.setblocking(False)
    with one, other:
        yield one, other


@pytest.fixture(params=["epoll", "selector"])
def poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "selector":
        monkeypatch.delattr(select, "epoll")
    name: str = request.param
    return name


async def test_a_handler_is_called_for_the_events_that_are_watched(poller: str, pair: Pair) -> None:
    one, other = pair
    readiness = Readiness.of_running_loop()
    seen: list[int] = []

    def handle(events: int) -> None:
        seen.append(events)
        readiness.watch(one.fileno(), 0)

    readiness.add(one.fileno(), handle)
    other.send(b"x")
    await a_while(0.02)
    assert seen == []
    readiness.watch(one.fileno(), READ)
    await until(lambda: seen)
    readiness.watch(one.fileno(), READ | WRITE)
    await until(lambda: len(seen) > 1)
    assert seen == [READ, READ | WRITE]
    readiness.watch(one.fileno(), WRITE)
    readiness.forget(one.fileno())
    await a_while(0.02)
    assert len(seen) == 2


async def test_a_disconnect_is_reported_behind_unread_bytes(pair: Pair) -> None:
    one, other = pair
    readiness = Readiness.of_running_loop()
    seen: list[int] = []

    def handle(events: int) -> None:
        seen.append(events)
        readiness.watch(one.fileno(), 0)

    readiness.add(one.fileno(), handle)
    readiness.watch(one.fileno(), GONE)
    other.send(b"x")
    await a_while(0.02)
    assert seen == []
    other.close()
    await until(lambda: seen)
    assert seen[0] & GONE
    readiness.forget(one.fileno())


async def test_nothing_is_left_open_after_the_last_socket(poller: str, pair: Pair) -> None:
    loop, (one, other) = asyncio.get_running_loop(), pair
    first = Readiness.of_running_loop()
    waiting = asyncio.create_task(wait_for_socket(one.fileno(), READ))
    await asyncio.sleep(0)
    other.send(b"x")
    await waiting
    assert loop not in Readiness._of_loop
    with pytest.raises((OSError, ValueError, AttributeError, KeyError)):
        first._poller.fileno()
    waiting = asyncio.create_task(wait_for_socket(one.fileno(), GONE))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert loop not in Readiness._of_loop


async def test_a_handler_may_close_another_socket_that_is_ready(pair: Pair) -> None:
    one, other = pair
    one.send(b"x")
    other.send(b"x")
    readiness = Readiness.of_running_loop()
    seen: list[str] = []

    def close_both(_: int) -> None:
        seen.append("closed")
        for each in pair:
            readiness.forget(each.fileno())
            each.close()

    for each in pair:
        readiness.add(each.fileno(), close_both)
        readiness.watch(each.fileno(), READ)
    await until(lambda: seen)
    await a_while(0.02)
    assert seen == ["closed"]
