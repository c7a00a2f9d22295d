"""The control pool: its queries, and connections that die, hang, or lead to another server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import ProcessSighting
from pgjit.server.control_pool import ControlPool, Role
from pgjit.server.credential import FixedSecret
from pgjit.server.login_error import LoginFailed
from pgjit.server.target import ControlLogin
from pgwire.messages.query import command_complete, error_response
from pgwire.reader import message
from tests.fakes.control_answers import (
    INSTANCE,
    PROCESS,
    ROLE,
    STARTED,
    answer_control,
    identified,
    instance_row,
    requests,
    row,
    sighting,
)
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    Peer,
    ScriptedServer,
    Step,
    close,
    expect,
    fatal,
    notice,
    send,
    startup,
    status,
    until_left,
)
from tests.fakes.targets import address_of, logged_in, target_at
from tests.run.waiting import until

NO_ROWS = command_complete("SELECT 0") + READY
GONE = ProcessSighting(instance=INSTANCE, there=False)
PRESENT = ProcessSighting(instance=INSTANCE, there=True)


def _control(server: ScriptedServer, deadline: float = 5.0, every: float = 60.0) -> ControlPool:
    return ControlPool(target_at(server), address_of(server), deadline=deadline, every=every)


def _control_script(*replies: bytes) -> list[Step]:
    """A control connection that answers one query with each reply."""
    answers = [step for reply in replies for step in (expect("Q"), send(reply))]
    return [*logged_in(), *identified(), *answers, until_left()]


def _answering(there: Callable[[int], bool] = lambda _: False) -> list[Step]:
    async def play(peer: Peer) -> None:
        while (await peer.frame()).kind == ord("Q"):
            await peer.write(answer_control(peer.last.body.decode(), present=there))

    return [*logged_in(), play]


async def test_a_backend_is_named_by_pid_start_time_and_server() -> None:
    found = row(*instance_row(), STARTED, str(ROLE))
    async with ScriptedServer(
        _control_script(found, sighting(True, True), sighting(True), sighting(False))
    ) as server:
        control = _control(server)
        assert await control.identify(4711) == PROCESS
        assert await control.terminate(PROCESS) == (PRESENT, True)
        assert [await control.observe(PROCESS), await control.observe(PROCESS)] == [PRESENT, GONE]
        await control.close()
        asked = [frame.body.decode() for frame in server.peers[0].frames][2:]
    assert "pg_stat_get_activity(4711)" in asked[0]
    assert [requests(sql) for sql in asked[1:]] == [[(4711, signal)] for signal in ("terminate", "none", "none")]
    assert all(
        "2026-11-24T09:30:00.123456+00:00" in sql and "a.backend_start = p.started" in sql for sql in asked[1:]
    )
    assert all("pg_control_system" in sql and "pg_postmaster_start_time" in sql for sql in asked)
    assert len(server.peers) == 1, "one connection for all of it"


async def test_columns_that_the_login_may_not_read_are_not_queried() -> None:
    script = [*logged_in(), expect("Q"), send(row("f", "f")), expect("Q"), send(sighting(False)), until_left()]
    async with ScriptedServer(script) as server:
        control = _control(server)
        await control.version()
        await control.close()
        asked = server.peers[0].frames[1].body.decode()
    assert "pg_control_system" not in asked
    assert "pg_walfile_name" not in asked


async def test_a_backend_that_is_not_seen_is_no_place_for_a_session() -> None:
    """Queried on a new connection too: the address may lead to another server than at the first login."""
    async with ScriptedServer(_control_script(NO_ROWS)) as server:
        control = _control(server)
        with pytest.raises(ServerUnavailable) as raised:
            await control.identify(4711)
        assert "pooler" in (raised.value.hint or "")
        assert "pg_read_all_stats" in (raised.value.hint or "")
        assert len(server.peers) == 2
        await control.close()


async def test_a_login_that_may_not_see_when_a_backend_began_is_of_no_use() -> None:
    async with ScriptedServer(_control_script(row(*instance_row(), None, str(ROLE)))) as server:
        control = _control(server)
        with pytest.raises(ServerUnavailable, match="cannot be used now"):
            await control.identify(4711)
        await control.close()


async def test_it_tells_the_version_and_whether_the_server_is_a_standby() -> None:
    answers = [(row("f", "f"), Role(False, False)), (row("f", "t"), Role(False, True)),
               (row("t", "f"), Role(True, True))]  # fmt: skip
    async with ScriptedServer(_control_script(*(sent for sent, _ in answers))) as server:
        control = _control(server)
        assert await control.version() == 18
        assert [await control.role() for _ in answers] == [expected for _, expected in answers]
        await control.close()


async def test_a_server_without_a_version_is_not_used() -> None:
    async with ScriptedServer([startup(), send(OK, KEY, READY), until_left()]) as server:
        control = _control(server)
        with pytest.raises(LoginFailed, match="does not report its version"):
            await control.version()
        await control.close()


async def test_unsolicited_messages_between_answers_are_no_answer() -> None:
    unasked = status("TimeZone", "UTC") + notice("careful") + message(b"A", b"\0\0\0\1c\0p\0")
    async with ScriptedServer(_control_script(unasked + sighting(False) + unasked, sighting(False))) as server:
        control = _control(server)
        assert [await control.observe(PROCESS), await control.observe(PROCESS)] == [GONE, GONE]
        assert len(server.peers) == 1
        await control.close()


async def test_a_connection_that_died_is_made_anew() -> None:
    async with ScriptedServer(
        [*_control_script(sighting(True))[:-1], close()], _control_script(sighting(False))
    ) as server:
        control = _control(server)
        assert await control.observe(PROCESS) == PRESENT
        assert await control.observe(PROCESS) == GONE
        assert len(server.peers) == 2
        await control.close()


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (error_response({"S": "ERROR", "C": "42501", "M": "permission denied"}) + READY, "42501: permission denied"),
        (b"Z\0\0\0\1", "message of type 'Z' with length 1"),
        (message(b"D", b"\0\2\0\0\0\1x"), "message is shorter than its contents say"),
        (message(b"G", b"\0\0\0"), "message of type 'G' in the answer to a query"),
        (fatal("57P01", "terminating"), "no answer"),
        (NO_ROWS, "an answer of 0 rows instead of 1"),
        (row("7713", "yesterday", None, "f", None, "0", "0"), "an answer that cannot be read"),
        (b"", "no answer"),
    ],
)
async def test_a_query_without_an_answer_is_sent_twice_and_then_reported(reply: bytes, detail: str) -> None:
    async with ScriptedServer(_control_script(reply)) as server:
        control = _control(server, deadline=0.1)
        await control.version()
        with pytest.raises(ServerUnavailable) as raised:
            await control.observe(PROCESS)
        assert f"control connection to 127.0.0.1:{server.port} failed ({detail}" in (raised.value.detail or "")
        assert len(server.peers) == 2
        await control.close()


async def test_a_cancelled_query_leaves_no_answer_for_the_next_one() -> None:
    """INVARIANT: an answer is never taken for the answer to another question."""
    asked = asyncio.Event()

    async def half_an_answer(peer: object) -> None:
        asked.set()

    half = send(message(b"D", b"\0\1\0\0\0\1x"))
    first = [*logged_in(), *identified(), expect("Q"), half_an_answer, half, until_left()]
    async with ScriptedServer(first, _control_script(sighting(False), sighting(False))) as server:
        control = _control(server)
        given_up = asyncio.create_task(control.observe(PROCESS))
        await asked.wait()
        waiting = asyncio.create_task(control.observe(replace(PROCESS, pid=2)))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await waiting == GONE, "the other one's row was not taken"
        assert await control.observe(replace(PROCESS, pid=3)) == GONE
        await control.close()


async def test_callers_that_wait_for_one_connection_fail_together() -> None:
    async with ScriptedServer([startup(), until_left()]) as server:
        target = target_at(server, connect_timeout=0.2)
        control = ControlPool(target, address_of(server))
        failed = await asyncio.gather(*(control.version() for _ in range(20)), return_exceptions=True)
        assert {str(fault) for fault in failed} == {
            f"127.0.0.1:{server.port}: authenticating: no answer within 0.2 s"
        }
        assert len(server.peers) == 1
        await control.close()


async def test_closing_stops_a_login_that_is_under_way() -> None:
    async with ScriptedServer([startup(), until_left()]) as server:
        control = _control(server)
        opening = asyncio.create_task(control.version())
        while not server.peers:
            await asyncio.sleep(0)
        await control.close()
        with pytest.raises(LoginFailed, match="pgjit is stopping"):
            await opening
        await asyncio.wait_for(server.peers[0].left.wait(), 5)


# --- the settings that it logs in with --------------------------------------------------------------------

PINNED = {
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
    "transaction_timeout", "client_connection_check_interval", "tcp_user_timeout", "tcp_keepalives_idle",
    "tcp_keepalives_interval", "tcp_keepalives_count",
}  # fmt: skip
SINCE_17 = {"transaction_timeout"}
SINCE_14 = {"idle_session_timeout", "client_connection_check_interval"}


def _knowing(unknown: set[str]) -> list[Step]:
    """A server that refuses a login with a setting that it does not know, in whatever language."""

    async def play(peer: Peer) -> None:
        await startup()(peer)
        if unknown & peer.startup.parameters.keys():
            await peer.write(fatal("42704", "nicht erkannter Konfigurationsparameter"))
            return
        for step in _answering()[1:]:
            await step(peer)

    return [play]


@pytest.mark.parametrize(
    ("unknown", "logins"), [(set(), 1), (SINCE_17, 2), (SINCE_17 | SINCE_14, 3)], ids=["17", "14", "13"]
)
async def test_every_timeout_of_the_server_is_pinned_and_its_settings_level_is_cached(
    unknown: set[str], logins: int
) -> None:
    async with ScriptedServer(_knowing(unknown)) as server:
        control = _control(server)
        await control.version()
        assert len(server.peers) == logins
        await control.reconnect()
        assert len(server.peers) == logins + 1
        settings = server.peers[-1].startup.parameters
        await control.close()
    assert {name for name in PINNED if settings.get(name) == "0"} == PINNED - unknown
    assert settings["local_preload_libraries"] == ""
    assert settings["default_transaction_deferrable"] == "off"


async def test_a_login_of_its_own_is_used_where_there_is_one() -> None:
    async with ScriptedServer(_answering()) as server:
        login = ControlLogin(user="pgjit_control", credential=FixedSecret("secret"))
        control = ControlPool(target_at(server, control=login), address_of(server))
        await control.version()
        assert server.peers[0].startup.parameters["user"] == "pgjit_control"
        await control.close()


# --- the spare one ----------------------------------------------------------------------------------------


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        await until(reached)


def _alive(server: ScriptedServer) -> list[Peer]:
    return [peer for peer in server.peers if len(peer.frames) >= 2 and not peer.left.is_set()]


async def test_there_are_two_as_long_as_a_session_needs_them() -> None:
    async with ScriptedServer(_answering(lambda pid: True)) as server:
        control = _control(server)
        control.sessions = 1
        control.add_session(await control.identify(4711))
        await _until(lambda: len(_alive(server)) == 2)
        for _ in range(3):
            for peer in _alive(server)[:1]:
                peer.writer.transport.abort()
                await peer.left.wait()
            await _until(lambda: len(_alive(server)) == 2)
        await control.close()


async def test_both_connections_are_checked_regularly_and_one_without_an_answer_is_replaced() -> None:
    hangs = [*logged_in(), *identified(), *_control_script(sighting(False))[-3:-1], until_left()]
    async with ScriptedServer(_answering(lambda pid: True), hangs, _answering(lambda pid: True)) as server:
        control = _control(server, deadline=0.2, every=0.05)
        control.sessions = 1
        control.add_session(await control.identify(4711))
        await _until(lambda: len(server.peers) >= 3 and server.peers[1].left.is_set())
        assert await control.observe(PROCESS) == PRESENT
        await control.close()


async def test_one_that_is_stuck_costs_one_deadline_and_no_login() -> None:
    stuck = [*logged_in(), *identified(), expect("Q"), send(row(*instance_row(), STARTED, str(ROLE))), until_left()]
    async with ScriptedServer(stuck, _answering(lambda pid: True)) as server:
        control = _control(server, deadline=0.2)
        control.sessions = 1
        control.add_session(await control.identify(4711))
        await _until(lambda: len(_alive(server)) == 2)
        async with asyncio.timeout(60):
            assert (await control.terminate(PROCESS))[0] == PRESENT
        await control.close()


async def test_a_session_on_the_server_that_the_address_leads_to_now_is_seen_by_a_new_connection() -> None:
    there = replace(INSTANCE, system="9999", started=INSTANCE.started + timedelta(days=1))

    async def other(peer: Peer) -> None:
        while (await peer.frame()).kind == ord("Q"):
            await peer.write(answer_control(peer.last.body.decode(), present=lambda _: True, instance=there))

    async with ScriptedServer(_answering(lambda pid: pid == 1), [*logged_in(), other]) as server:
        control = _control(server)
        control.sessions = 2
        first = await control.identify(1)
        control.add_session(first)
        second = await control.identify(4711)
        control.add_session(second)
        assert (first.instance, second.instance) == (INSTANCE, there)
        # Each process is looked up on its own server.
        assert (await control.observe(first)).instance == INSTANCE
        assert (await control.observe(second)).instance == there
        await control.close()


async def test_a_login_that_began_before_the_address_led_to_another_server_is_followed_by_a_new_one() -> None:
    there = replace(INSTANCE, system="9999", started=INSTANCE.started + timedelta(days=1))
    moved = asyncio.Event()

    async def held(peer: Peer) -> None:
        await moved.wait()
        for step in _answering(lambda pid: pid == 1):
            await step(peer)

    async def other(peer: Peer) -> None:
        while (await peer.frame()).kind == ord("Q"):
            await peer.write(answer_control(peer.last.body.decode(), present=lambda _: True, instance=there))

    async with ScriptedServer(_answering(lambda pid: pid == 1), [held], [*logged_in(), other]) as server:
        control = _control(server)
        control.sessions = 2
        control.add_session(await control.identify(1))
        await until(lambda: len(server.peers) == 2)  # the second connection of the pool, to the former server
        identified = asyncio.create_task(control.identify(4711))
        await until(lambda: _asked(server, 4711))
        moved.set()
        assert (await identified).instance == there
        assert len(server.peers) == 3
        await control.close()


def _asked(server: ScriptedServer, pid: int) -> bool:
    return any(f"({pid})".encode() in frame.body for frame in server.peers[0].frames)
