"""What systemd hears, and when."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.app.service_manager import ServiceManager
from tests.run.waiting import until


class Listening:
    """The manager's side of NOTIFY_SOCKET."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(path)

    @property
    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


def add(heard: list[str], more: list[str]) -> list[str]:
    heard += more
    return heard


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(str(tmp_path / "notify"))
    with listening.socket:
        yield listening


def test_each_state_is_one_message_with_a_line_for_people(systemd: Listening) -> None:
    manager = ServiceManager(systemd.socket.getsockname())
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading("reading\nFDSTORE=1\nthe files")
    manager.ready("serves")
    manager.status("2 sessions")
    manager.extend(1.5)
    manager.stopping("drains")
    reloading, *others = systemd.heard
    first, at, status = reloading.split("\n")
    assert (first, status) == ("RELOADING=1", "STATUS=reading FDSTORE=1 the files")
    assert at.startswith("MONOTONIC_USEC=")
    assert before <= int(at.removeprefix("MONOTONIC_USEC="))
    assert others == [
        "READY=1\nSTATUS=serves",
        "STATUS=2 sessions",
        "EXTEND_TIMEOUT_USEC=1500000",
        "STOPPING=1\nSTATUS=drains",
    ]


def test_an_abstract_socket_is_reached() -> None:
    name = f"pgjit-test-{os.getpid()}"
    listening = Listening(f"\0{name}")
    with listening.socket:
        ServiceManager(f"@{name}").status("here")
        assert listening.heard == ["STATUS=here"]


def test_without_a_service_manager_nothing_happens_and_a_dead_one_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager(None).ready("nobody hears")
        gone = ServiceManager(str(tmp_path / "gone"))
        gone.ready("nobody hears")
        gone.stopping("nobody hears")
    assert [record.message for record in caplog.records] == [
        f"systemd cannot be notified at {tmp_path / 'gone'}: [Errno 2] No such file or directory"
    ]


@pytest.mark.parametrize(
    ("given", "watched"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "40000"}, True),
        ({"WATCHDOG_USEC": "40000", "WATCHDOG_PID": "own"}, True),
        ({"WATCHDOG_USEC": "40000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
    ],
    ids=str,
)
async def test_the_watchdog_is_served_if_it_watches_this_process(
    systemd: Listening, given: dict[str, str], watched: bool
) -> None:
    environment = {"NOTIFY_SOCKET": systemd.socket.getsockname(), "PATH": "/bin", **given}
    if given.get("WATCHDOG_PID") == "own":  # the names of tests are the same in every process that runs some of them
        environment["WATCHDOG_PID"] = str(os.getpid())
    manager = ServiceManager.of_environment(environment)
    assert environment == {"PATH": "/bin"}, "child processes are not heard"
    heard: list[str] = []
    async with manager.watched():
        await asyncio.sleep(0)
        heard += systemd.heard
        if watched:
            await until(lambda: len(add(heard, systemd.heard)) > 2)
    assert set(heard) == ({"WATCHDOG=1"} if watched else set())


async def test_a_service_whose_other_processes_do_not_answer_is_silent(systemd: Listening) -> None:
    answered: list[bool | None] = [True, False, None, False, True]
    asked: list[bool | None] = []

    async def answers() -> bool:
        asked.append(answered[len(asked) % len(answered)])
        if (answer := asked[-1]) is None:
            raise OSError("no worker")
        return answer

    manager = ServiceManager(systemd.socket.getsockname(), 0.002)
    async with manager.watched(answers):
        await until(lambda: len(asked) >= 5)
    assert systemd.heard == ["WATCHDOG=1"] * asked.count(True)


async def test_a_long_stop_is_extended_for_as_long_as_it_may_last(systemd: Listening) -> None:
    manager = ServiceManager(systemd.socket.getsockname())
    async with manager.extended(3600):
        await asyncio.sleep(0)
        assert systemd.heard == ["EXTEND_TIMEOUT_USEC=30000000"]
    async with manager.extended(0):
        await asyncio.sleep(0)
    assert systemd.heard == []


def test_an_address_of_another_kind_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager.of_environment({"NOTIFY_SOCKET": "vsock:2:1234"}).ready("nobody hears")
    assert [record.message for record in caplog.records] == [
        "NOTIFY_SOCKET is `vsock:2:1234`, which is no Unix socket: systemd is not notified"
    ]
