"""When the notices before the end are sent: each once, between two messages, and never during a COPY."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from pgjit.clock import Clock
from pgjit.policy.policy import Preset
from pgjit.proxy import end_notices
from pgjit.proxy.end_notices import send_end_notices
from pgjit.proxy.relay.notices import Notices
from pgjit.proxy.window import wait_until
from pgwire.messages.query import decode_error
from tests.fakes.both_ends import NOW, BothEnds, answer, query
from tests.fakes.policies import access
from tests.run.waiting import until

END = NOW + timedelta(minutes=30)


def _both_ends(ends_at: datetime) -> BothEnds:
    ends = BothEnds()
    ends.state.ends_at = ends_at
    return ends


@dataclass
class Session:
    """A client that keeps what it is sent, and a pump by its state."""

    ends: BothEnds = field(default_factory=lambda: _both_ends(END))
    inside_message: bool = False
    now: datetime = NOW
    sent: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def state(self) -> Any:
        self.looks += 1
        return self.ends.state

    def write(self, data: bytes) -> None:
        self.sent.append(decode_error(data[5:])["M"].partition(",")[0])

    def steady(self) -> float:
        return (self.now - NOW).total_seconds()

    async def start(self) -> asyncio.Task[None]:
        client: Any = self
        clock = Clock(wall=lambda: self.now, steady=self.steady)
        task = asyncio.create_task(send_end_notices(client, client, access(Preset.READ_ONLY, END), clock))
        await asyncio.sleep(0)  # it reads the clock
        return task

    async def move(self, minutes: float) -> None:
        """To so many minutes before the end; returns when the session was looked at."""
        self.now = END - timedelta(minutes=minutes)
        before = self.looks
        await until(lambda: self.looks > before + 2 or self.sent)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_until, "_TICK", 0.001)
    monkeypatch.setattr(end_notices, "_BUSY_SECONDS", 0.001)


async def test_an_idle_session_is_sent_one_at_five_minutes_and_one_at_one() -> None:
    session = Session()
    task = await session.start()
    await session.move(5)
    await until(lambda: session.sent == ["session ends in 5 minutes"])
    session.now = END - timedelta(minutes=1)
    await task
    assert session.sent == ["session ends in 5 minutes", "session ends in 1 minute"]


async def test_a_message_in_part_and_a_copy_hold_it_back() -> None:
    session = Session(inside_message=True)
    task = await session.start()
    await session.move(5)
    assert session.sent == []
    session.inside_message = False
    await until(lambda: session.sent)
    session.ends.client(query("copy notes to stdout"))
    session.ends.state.queue.requests[0].runs[0].copies_out = True
    session.now = END - timedelta(seconds=40)
    before = session.looks
    await until(lambda: session.looks > before + 2)
    assert len(session.sent) == 1
    session.ends.server(answer("C", b"COPY 1\0"), answer("Z", b"I"))
    await task
    assert session.sent == ["session ends in 5 minutes", "session ends in 1 minute"]


async def test_a_running_statement_does_not_hold_it_back() -> None:
    session = Session()
    session.ends.client(query("select 1"))
    task = await session.start()
    await session.move(4.5)
    await until(lambda: session.sent)
    task.cancel()


async def test_a_notice_that_is_late_by_the_time_of_the_next_is_left_out() -> None:
    session = Session(inside_message=True)
    task = await session.start()
    await session.move(3)
    session.now = END - timedelta(seconds=50)
    before = session.looks
    await until(lambda: session.looks > before)
    session.inside_message = False
    await task
    assert session.sent == ["session ends in 1 minute"]


async def test_nothing_is_sent_to_a_client_that_wants_no_notice_or_to_a_short_window() -> None:
    session = Session()
    session.ends.state.notices = Notices(off=True)
    task = await session.start()
    session.now = END
    await task
    assert session.sent == []
    session = Session(now=END - timedelta(seconds=30))
    await (await session.start())
    assert session.sent == []


async def test_no_notice_of_an_end_that_is_not_the_session_s_any_more_is_sent() -> None:
    session = Session()
    task = await session.start()
    session.ends.state.ends_at = END - timedelta(minutes=10)
    session.now = END - timedelta(minutes=1)
    await task
    assert session.sent == []
