"""Connections through a load balancer: whose header is read, what it changes, and what is no event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from pgjit.proxy import listener
from pgjit.proxy.door.balancers import Balancers
from pgjit.proxy.services import ProxyLimits
from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import encode_cancel, encode_ssl_request, encode_startup
from tests.fakes.door import GOOD, Door
from tests.fakes.proxy_headers import LOCAL, SIGNATURE, v1, v2
from tests.fakes.scripted_client import ScriptedClient
from tests.run.rows import table
from tests.run.waiting import until

STARTUP = encode_startup({"user": "ann", "database": "shop"})
HERE, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")
CLIENT = "192.0.2.10"
TO_US = v2(CLIENT, "198.51.100.7")


@contextlib.asynccontextmanager
async def behind(folder: Path, limits: ProxyLimits | None = None) -> AsyncIterator[Door]:
    """A door behind a load balancer on this machine."""
    async with Door(folder, limits, balancers=Balancers([HERE])) as door:
        yield door


async def log_in(door: Door, header: bytes, *, piece: int = 0, direct: bool = False) -> None:
    async with await ScriptedClient.open(door.port) as client:
        client.piece = piece
        await client.send(header)
        client.piece = 0
        await client.start_tls(door.trust, direct=direct)
        await refused(client)


async def refused(client: ScriptedClient) -> None:
    """There is no policy: the login is refused, and recorded."""
    await client.send(STARTUP)
    assert await client.frame() == ("R", b"\0\0\0\x03")
    await client.send(encode_password(GOOD.encode()))
    assert (await client.error())["C"] == "28000"


@table(
    ("network", "host", "included"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.1.2.3", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.5", "10.0.0.5", True),
    ],
)
def test_balancers_are_known_by_their_own_address(network: str, host: str, included: bool) -> None:
    assert Balancers([ip_network(network)]).include(host) == included
    assert not Balancers([]).include(host)


async def test_a_client_is_recorded_by_its_own_address_and_the_balancers_beside_it(tmp_path: Path) -> None:
    more = v2(CLIENT, "198.51.100.7", values=[(0x05, b"\1id"), (0xEE, b"\1\x34\x12\0\x20"), (0xEA, b"\1vpce-1")])
    async with behind(tmp_path) as door:
        async with await ScriptedClient.open(door.port) as client:
            balancer = client.address
            await client.send(TO_US + encode_ssl_request())  # in one piece: no byte of it is the header's
            assert await client.receive() == b"S"
            await client.start_tls(door.trust, direct=True)
            await refused(client)
        for header, direct in ((v1("2001:db8::a", "2001:db8::7"), False), (more, True)):
            await log_in(door, header, direct=direct)
        await log_in(door, more, piece=1)
        await door.empty()
        first, second, third, _ = door.refused
    assert isinstance(balancer, tuple)
    assert (first["source"], first["balancer"]) == ("192.0.2.10:51234", {"source": f"{balancer[0]}:{balancer[1]}"})
    assert second["source"] == "2001:db8::a:51234"
    assert isinstance(third["balancer"], dict)
    assert third["balancer"] | {"source": ""} == {
        "source": "", "unique_id": "016964", "link_id": 0x20001234, "vpc_endpoint": "vpce-1",
    }  # fmt: skip


async def test_a_connection_without_addresses_is_the_balancers_own(tmp_path: Path) -> None:
    async with behind(tmp_path) as door:
        for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
            await log_in(door, header)
        await door.empty()
        for record in door.refused:
            assert str(record["source"]).startswith("127.0.0.1:")
            assert "balancer" not in record


async def test_a_port_check_through_or_past_the_balancer_is_no_event(tmp_path: Path) -> None:
    for networks in ([HERE], [ELSEWHERE]):
        async with Door(tmp_path, balancers=Balancers(networks)) as door:
            for sent in (b"", LOCAL, TO_US, v1(CLIENT, "198.51.100.7")) if networks == [HERE] else (b"",):
                for reset in (False, True):
                    async with await ScriptedClient.open(door.port) as client:
                        await client.send(sent)
                        await until(lambda door=door: door.listener.connections)  # type: ignore[misc]
                        if reset:
                            client.reset()
                    await door.empty()
            assert door.references == []


BAD = {
    "no header": encode_ssl_request(),
    "TLS": b"\x16\x03\x01\x02\0\x01",
    "a startup message": STARTUP,
    "half a header": TO_US[:20],
    "half a line": b"PROXY TCP4 1.2.3.4",
    "a second header": TO_US + TO_US,
    "a second header of version 1": TO_US + v1(CLIENT, "198.51.100.7"),
    "a second header behind a local one": LOCAL + TO_US,
    "a wrong checksum": v2(CLIENT, "198.51.100.7", checksum=True)[:-1] + b"\0",
    "a long header": SIGNATURE + b"\x21\x11\xff\xff",
}


async def test_anything_but_one_header_closes_the_connection_and_is_recorded(tmp_path: Path) -> None:
    async with behind(tmp_path) as door:
        for sent in BAD.values():
            async with await ScriptedClient.open(door.port) as client:
                await client.send(sent)
                if sent in (BAD["half a header"], BAD["half a line"]):
                    client.reset()
                    await until(lambda: not door.listener.connections)
                    continue
                assert await client.ended()
            await door.empty()
        assert door.references == ["handshake-failed"] * len(BAD)
        reasons = [str(record["reason"]) for record in door.refused]
    assert "no PROXY protocol header" in reasons[0]
    assert all("PROXY protocol header that is not expected" in reason for reason in reasons[5:8])


async def test_past_the_balancer_nothing_is_answered_and_it_is_recorded_once_it_says_something(
    tmp_path: Path,
) -> None:
    async with Door(tmp_path, balancers=Balancers([ELSEWHERE])) as door:
        for sent in (TO_US, encode_ssl_request(), STARTUP):
            async with await ScriptedClient.open(door.port) as client:
                await client.send(sent)
                assert await client.receive() == b""
        await door.empty()
        assert door.references == ["not-from-balancer"] * 3
        assert all(str(record["source"]).startswith("127.0.0.1:") for record in door.refused)
        assert "127.0.0.1 is not in `listen.proxy_protocol.from`" in str(door.refused[0]["reason"])
    assert door.provider.verified == []


async def test_without_the_setting_a_header_is_a_protocol_error(door: Door) -> None:
    for sent in (TO_US, v1(CLIENT, "198.51.100.7"), LOCAL):
        async with await ScriptedClient.open(door.port) as client:
            await client.send(sent)
            assert await client.receive() == b""
    await door.empty()
    assert door.references == ["handshake-failed"] * 3
    assert all("PROXY protocol header that is not expected" in str(record["reason"]) for record in door.refused)
    assert all(str(record["source"]).startswith("127.0.0.1:") for record in door.refused)


async def test_a_header_that_does_not_come_is_waited_for_as_long_as_a_handshake(tmp_path: Path) -> None:
    async with behind(tmp_path, ProxyLimits(handshake_seconds=0.2)) as door:
        for sent in (b"", TO_US[:20], b"PROXY "):
            async with await ScriptedClient.open(door.port) as client:
                await client.send(sent)
                assert await client.ended()
        await door.empty()
        assert door.references == ["handshake-failed"] * 3


async def test_the_limit_of_addresses_counts_clients_and_not_the_balancer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_REFUSE_SECONDS", 0.3)
    async with behind(tmp_path, ProxyLimits(connections_per_address=2)) as door:
        others = [await ScriptedClient.open(door.port) for _ in range(5)]
        for number, other in enumerate(others):
            await other.send(v2(f"192.0.2.{number + 20}", "198.51.100.7"))
        held = [await ScriptedClient.open(door.port) for _ in range(2)]
        for client in held:
            await client.send(TO_US)
        await until(lambda: door.listener._limits.addresses[CLIENT] == 2)
        async with await ScriptedClient.open(door.port) as third:
            await third.send(TO_US)
            await third.start_tls(door.trust)
            await third.send(STARTUP)
            error = await third.error()
            assert error["R"] == "pgjit:too-many-connections-of-address"
            assert f"from {CLIENT}" in error["D"]
        async with await ScriptedClient.open(door.port) as silent:  # kept only for its error: not for long
            await silent.send(TO_US)
            assert await silent.ended()
        many = [await ScriptedClient.open(door.port) for _ in range(12)]
        for client in many:
            await client.send(TO_US)
        await asyncio.wait_for(asyncio.gather(*(client.ended() for client in many)), 60)
        for client in (*many, *held, *others):
            async with client:
                pass
        await door.empty()
        assert len(door.listener._limits.addresses) == 0


async def test_a_cancel_request_and_a_token_come_behind_a_header_too(tmp_path: Path) -> None:
    async with behind(tmp_path) as door:
        async with await ScriptedClient.open(door.port) as client:
            await client.send(TO_US + encode_cancel(1, b"1234"))
            assert await client.ended()
        async with await ScriptedClient.open(door.port) as client:
            await client.send(TO_US)
            await client.start_tls(door.trust)
            await client.send(STARTUP)
            assert (await client.frame()) is not None
            client.reset()
        await door.empty()
    assert GOOD not in door.provider.verified
