"""When a shutdown ends a session: at its next idle moment, at the latest when the time is over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from pgjit.proxy import drain
from pgjit.proxy.drain import NotAccepting, SessionDrain
from pgjit.proxy.registry import Registry
from pgjit.proxy.session import Session
from pgwire.messages.query import decode_error
from tests.fakes.starved_logins import starve_logins
from tests.run.waiting import until


def nobody() -> asyncio.Future[None]:
    """Nobody is logging in."""
    logins: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    logins.set_result(None)
    return logins


@dataclass(eq=False)
class Live:
    """As much of a session as a shutdown uses."""

    registry: Registry
    name: str
    idle: bool = True
    executions: int = 0
    may_send: bool = True
    hangs: bool = False
    backend_pid: int | None = None
    window_id = identity_key = None
    ended: list[str] = field(default_factory=list)
    notices: list[bytes] = field(default_factory=list)
    abandoned: bool = False

    def __post_init__(self) -> None:
        self.registry.add(self.name, cast(Session, self))

    def send_notice(self, notice: bytes) -> bool:
        if self.may_send:
            self.notices.append(notice)
        return self.may_send

    async def end(self, reason: str) -> None:
        self.ended.append(reason)
        while self.hangs:
            await asyncio.sleep(0)
        self.registry.remove(self.name)

    def abandon(self) -> None:
        self.abandoned = True


@pytest.fixture
def registry() -> Registry:
    return Registry()


async def test_idle_sessions_end_and_others_at_their_next_idle_moment(registry: Registry) -> None:
    idle, busy = Live(registry, "idle"), Live(registry, "busy", idle=False)
    running = asyncio.create_task(SessionDrain(registry, asyncio.Event()).run(3600, nobody()))
    await until(lambda: idle.ended)
    assert busy.ended == []
    busy.idle, busy.executions = True, 1
    await running
    assert idle.ended == busy.ended == ["shutdown"]


async def test_a_session_that_runs_statement_after_statement_ends_between_two(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_QUIET_SECONDS", 3600.0)
    quick, waits = Live(registry, "quick"), Live(registry, "waits")
    at_once = asyncio.Event()
    running = asyncio.create_task(SessionDrain(registry, at_once).run(3600, nobody()))
    await until(lambda: waits.notices)
    quick.executions += 1  # it was never seen to be busy
    await until(lambda: quick.ended)
    assert waits.ended == [], "its client may be about to send a statement"
    at_once.set()
    await running
    assert waits.ended == ["shutdown"]


async def test_every_session_is_notified_once_as_soon_as_the_protocol_allows(registry: Registry) -> None:
    now, later = Live(registry, "now", idle=False), Live(registry, "later", idle=False, may_send=False)
    at_once = asyncio.Event()
    drained = SessionDrain(registry, at_once)
    announcing = asyncio.create_task(drained.announce_for(3600))
    await until(lambda: now.notices)
    later.may_send = True
    await until(lambda: later.notices)
    late = Live(registry, "late")
    await until(lambda: late.notices)
    assert now.ended == later.ended == late.ended == [], "they go on while connections are accepted"
    at_once.set()
    await announcing
    await drained.run(3600, nobody())
    for each in (now, later, late):
        [notice] = each.notices
        assert notice[:1] == b"N"
        fields = decode_error(notice[5:])
        assert (fields["S"], fields["C"], fields["R"]) == ("NOTICE", "00000", "pgjit:shutting-down")
        assert each.ended == ["shutdown"]


async def test_after_its_time_everything_is_ended_also_what_logs_in_meanwhile(registry: Registry) -> None:
    busy = Live(registry, "busy", idle=False)
    logins: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(SessionDrain(registry, asyncio.Event()).run(0, logins))
    await until(lambda: busy.ended)
    late = Live(registry, "late", idle=False)
    await until(lambda: late.ended)
    assert not running.done()
    logins.set_result(None)
    await running


async def test_a_backend_that_does_not_end_is_left_to_the_next_process(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_END_SECONDS", 0.01)
    stuck = Live(registry, "stuck", hangs=True)
    await SessionDrain(registry, asyncio.Event()).run(0, nobody())
    assert stuck.abandoned


def test_a_client_that_is_too_late_is_sent_to_another_node() -> None:
    fields = NotAccepting().fields()
    assert (fields["S"], fields["C"], fields["M"]) == ("FATAL", "57P03", "pgjit is shutting down")
    assert fields["R"] == "pgjit:shutting-down"


async def test_clients_that_log_in_do_not_put_a_shutdown_off(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live(registry, "live")
    starve_logins(monkeypatch)
    async with asyncio.timeout(60):
        await SessionDrain(registry, asyncio.Event()).run(3600, nobody())
    assert (len(live.notices), live.ended) == (1, ["shutdown"])
