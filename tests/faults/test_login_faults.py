"""A server that misbehaves during login: the client gets one FATAL, the journal one record, nothing remains."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pgjit.demo.certificates import Certificates
from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import encode_startup
from tests.fakes.both_ends import answer
from tests.fakes.door import GOOD
from tests.fakes.scripted_client import ReceivedFrame
from tests.fakes.scripted_server import OK, Step, close, cut, fatal, notice, send, until_left
from tests.fakes.whole_proxy import STARTUP, WholeProxy, errors, kinds, welcome

WELCOME = welcome(4200)


async def refused(proxy: WholeProxy) -> list[ReceivedFrame]:
    """What a client hears that logs in rightly."""
    async with await proxy.dial() as client:
        await client.send(encode_startup(STARTUP))
        await client.frames(until="R")
        await client.send(encode_password(GOOD.encode()))
        async with asyncio.timeout(60):
            return await client.frames()


# Each byte of the first messages, the last ones, and a sample of those between.
CUTS = sorted({*range(12), *range(12, len(WELCOME), 29), *range(len(WELCOME) - 8, len(WELCOME))})
LOGINS: dict[str, tuple[list[Step], str]] = {
    **{f"cut after {at} bytes": ([cut(WELCOME, at)], "57P03") for at in CUTS},
    "no slot": ([send(fatal("53300", "sorry, too many clients already")), close()], "53300"),
    "reserved slots": ([send(fatal("53300", "remaining connection slots are reserved")), close()], "53300"),
    "starting up": ([send(fatal("57P03", "the database system is starting up")), close()], "57P03"),
    "recovering": ([send(fatal("57P03", "the database system is in recovery mode")), close()], "57P03"),
    "shutting down": ([send(OK + fatal("57P01", "terminating connection")), close()], "57P01"),
    "no such database": ([send(OK + fatal("3D000", "no such database")), close()], "57P03"),
    "FATAL without a SQLSTATE": ([send(answer("E", b"SFATAL\0Mno\0\0")), close()], "57P03"),
    "a notice before its end": ([send(OK + notice("hello")), close()], "57P03"),
    "a length of 0": ([send(b"R\0\0\0\0"), until_left()], "57P03"),
    "a length past every limit": ([send(b"R\x7f\xff\xff\xff"), until_left()], "57P03"),
    "rows": ([send(OK + answer("D", b"\0\0")), until_left()], "57P03"),
    "garbage": ([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), until_left()], "57P03"),
    "silence": ([until_left()], "57P03"),
}


@pytest.mark.parametrize("name", LOGINS)
async def test_a_session_that_does_not_come_about(name: str, tmp_path: Path, certificates: Certificates) -> None:
    login, sqlstate = LOGINS[name]
    waits = 0.3 if name == "silence" else 60
    async with WholeProxy(tmp_path, certificates, [until_left()], login=login, connect_timeout=waits) as proxy:
        heard = await refused(proxy)
        await proxy.over()
        assert kinds(heard) == "E"
        assert errors(heard) == [("FATAL", sqlstate)]
        [record] = proxy.records("login.refused")
        assert record["sqlstate"] == sqlstate
        assert record["identity"] is not None
        assert proxy.records("session.opened") == []
        assert all(control.sessions == 0 for servers in proxy.services.servers.values()
                   for control in servers._controls.values())  # fmt: skip


@pytest.mark.parametrize(
    ("says", "sqlstate"),
    [
        (fatal("53300", "sorry, too many clients already"), "53300"),
        (fatal("57P03", "the database system is starting up"), "57P03"),
        (b"", "57P03"),
    ],
)
async def test_without_a_control_connection_nobody_gets_in(
    says: bytes, sqlstate: str, tmp_path: Path, certificates: Certificates
) -> None:
    async with WholeProxy(tmp_path, certificates, [until_left()]) as proxy:
        proxy.server.refuses_control = says
        assert errors(await refused(proxy)) == [("FATAL", sqlstate)]
        assert proxy.server.sessions == {}, "no session is begun that could not be ended"
        proxy.server.refuses_control = None
        async with await proxy.client() as client:
            await client.send(b"X\0\0\0\4")
            assert await client.ended()
        await proxy.over()
        assert len(proxy.records("login.refused")) == len(proxy.records("session.ended")) == 1


async def test_a_control_connection_that_died_is_made_anew_to_end_a_session(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with WholeProxy(tmp_path, certificates, [until_left()]) as proxy:
        async with await proxy.client():
            await proxy.lose_controls()
        await proxy.over()
        assert len(proxy.server.controls) > 2
        assert proxy.session_ended["proof"]["gone"]
