"""The end of a turn: once, after all sockets that are ready, and before the loop waits again."""

from __future__ import annotations

import asyncio
import socket
import threading

from pgjit.loop_turn import Handling, at_end_of_turn
from pgjit.server.readiness import READ, Readiness
from tests.run.waiting import until


async def test_elsewhere_it_runs_in_the_next_turn_of_the_loop() -> None:
    seen: list[str] = []
    at_end_of_turn(lambda: seen.append("end"))
    assert seen == []
    await asyncio.sleep(0)
    assert seen == ["end"]


async def test_it_runs_after_the_handlers_and_what_it_adds_runs_too() -> None:
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        at_end_of_turn(lambda: seen.append("third"))

    with Handling(asyncio.get_running_loop()):
        at_end_of_turn(first)
        at_end_of_turn(lambda: seen.append("second"))
        seen.append("handler")
    assert seen == ["handler", "first", "second", "third"]
    at_end_of_turn(lambda: seen.append("later"))
    assert seen[-1] == "third"
    await asyncio.sleep(0)
    assert seen[-1] == "later"


async def test_one_that_fails_takes_none_along_and_is_reported() -> None:
    loop = asyncio.get_running_loop()
    reports: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    seen: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    with Handling(loop):
        at_end_of_turn(fail)
        at_end_of_turn(lambda: seen.append("end"))
    assert seen == ["end"]
    assert [type(each["exception"]) for each in reports] == [ZeroDivisionError]


async def test_the_loop_of_another_thread_has_its_own() -> None:
    seen: list[str] = []

    async def elsewhere() -> None:
        at_end_of_turn(lambda: seen.append("other"))
        assert seen == []
        await asyncio.sleep(0)

    with Handling(asyncio.get_running_loop()):
        thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
        thread.start()
        thread.join()
        assert seen == ["other"]


async def test_sockets_that_are_ready_together_have_one_end() -> None:
    seen: list[str] = []
    readiness = Readiness.of_running_loop()
    pairs = [socket.socketpair() for _ in range(3)]
    for number, (one, other) in enumerate(pairs):

        def handle(_: int, one: socket.socket = one, number: int = number) -> None:
            one.recv(1)
            if number == 0:
                at_end_of_turn(lambda: seen.append("end"))
            seen.append("handler")

        readiness.add(one.fileno(), handle)
        readiness.watch(one.fileno(), READ)
        other.send(b"x")
    await until(lambda: seen)
    assert seen == ["handler", "handler", "handler", "end"]
    for one, other in pairs:
        readiness.forget(one.fileno())
        one.close()
        other.close()
