"""Client authentication: every method, and that every refused token gives the same error."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.proxy.services import ProxyLimits
from pgwire.messages.authentication import encode_password, encode_sasl_initial, encode_sasl_response
from pgwire.messages.query import decode_error, encode_query, terminate
from pgwire.messages.startup import encode_startup
from pgwire.oauthbearer import encode_initial
from tests.fakes.door import DISCOVERY, GOOD, Door
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient

PASSWORD = ("R", b"\0\0\0\x03")
SASL = ("R", b"\0\0\0\x0aOAUTHBEARER\0\0")
LIMIT = 2048


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    methods = {"shop": AuthenticationMethod.PASSWORD, "bearer": AuthenticationMethod.OAUTHBEARER}
    async with Door(tmp_path, ProxyLimits(token_bytes=LIMIT, handshake_seconds=60), methods) as opened:
        yield opened


async def auth_request(door: Door, client: ScriptedClient, database: str) -> ReceivedFrame | None:
    await client.start_tls(door.trust)
    await client.send(encode_startup({"user": "ann", "database": database}))
    return await client.frame()


async def outcome(door: Door, database: str, *messages: bytes) -> tuple[list[ReceivedFrame], dict[str, str]]:
    """What is heard on the way, and the error at the end."""
    async with await ScriptedClient.open(door.port) as client:
        assert await auth_request(door, client, database) == (SASL if database == "bearer" else PASSWORD)
        heard: list[ReceivedFrame] = []
        for message in messages:
            await client.send(message)
            frame = await client.frame()
            if frame is None:
                return heard, {}
            if frame[0] == "E":
                assert await client.frame() is None
                return heard, decode_error(frame[1])
            heard.append(frame)
    raise AssertionError(f"no end after {heard}")


async def test_the_connection_decides_how_its_clients_authenticate(door: Door) -> None:
    for database, expected in (("shop", PASSWORD), ("bearer", SASL), ("unknown", PASSWORD)):
        async with await ScriptedClient.open(door.port) as client:
            assert await auth_request(door, client, database) == expected


# --- password ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "reference"),
    [
        (b"", "empty"),
        ("geheim-ü".encode(), "not-ascii"),
        (b"\xff", "not-ascii"),
        (b"wrong", "unknown"),
        (b"x" * LIMIT, "unknown"),
        (b"x" * (LIMIT + 1), "too-large"),
        (b"x" * 200_000, "too-large"),
    ],
)
async def test_every_password_that_is_no_token_reads_alike(door: Door, password: bytes, reference: str) -> None:
    _, error = await outcome(door, "shop", encode_password(password))
    _, wrong = await outcome(door, "shop", encode_password(b"something else"))
    assert error == wrong
    assert (error["S"], error["C"]) == ("FATAL", "28P01")
    await door.empty()
    assert door.references == [reference, "unknown"]
    assert door.refused[0]["sqlstate"] == "28P01"


@pytest.mark.parametrize("database", ["shop", "bearer"])
@pytest.mark.parametrize(
    "message",
    [
        encode_query(b"SELECT 1"),
        terminate(),
        b"p\0\0\0\x03",
        b"P",
        b"\x16\x03\x01\0\x10",
        encode_startup({"user": "ann"}),
        encode_password(GOOD.encode()) + encode_query(b"SELECT 1"),
        encode_password(b"two\0strings"[:3]) + b"p",
        b"p" + struct.pack("!I", 4 + 8) + b"good\0ken",  # something behind the zero byte
        b"p" + struct.pack("!I", 4),
    ],
)
async def test_anything_but_one_answer_to_the_request_breaks_the_protocol(
    door: Door, database: str, message: bytes
) -> None:
    _, error = await outcome(door, database, message)
    assert (error["S"], error["C"]) == ("FATAL", "08P01")
    await door.empty()
    assert door.references == ["protocol-violation"]
    assert door.provider.verified == []


@pytest.mark.parametrize("database", ["shop", "bearer"])
async def test_a_token_is_judged_at_the_moment_when_it_came(door: Door, database: str) -> None:
    """Who keeps us waiting does not have a token accepted that ran out meanwhile."""
    async with await ScriptedClient.open(door.port) as client:
        await auth_request(door, client, database)
        sent_at = door.services.clock()
        token = GOOD.encode()
        await client.send(encode_password(token) if database == "shop" else initial(b"Bearer " + token))
        assert (await client.error())["C"] == "28000"
    assert all(moment >= sent_at for moment in door.provider.verified_at)
    assert len(door.provider.verified_at) == 1


async def test_a_provider_that_cannot_check_is_not_a_bad_token(door: Door) -> None:
    for database, message in (
        ("shop", encode_password(b"later")),
        ("bearer", encode_sasl_initial("OAUTHBEARER", encode_initial(b"Bearer later"))),
    ):
        heard, error = await outcome(door, database, message)
        assert (heard, error["C"]) == ([], "57P03")
    assert door.references == ["no-keys"] * 2


@pytest.mark.parametrize("database", ["shop", "bearer"])
@pytest.mark.parametrize("sent", [b"", b"p", b"p\0\0\0\x20half"])
async def test_a_client_that_leaves_during_authentication_is_recorded(door: Door, database: str, sent: bytes) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await auth_request(door, client, database)
        await client.send(sent)
    await door.empty()
    assert [(r["reference"], r["sqlstate"], r["startup_database"]) for r in door.refused] == [
        ("client-left", "08006", database)
    ]


# --- OAUTHBEARER ---------------------------------------------------------------------------------------


def initial(auth: bytes) -> bytes:
    return encode_sasl_initial("OAUTHBEARER", encode_initial(auth))


async def test_a_bearer_token_logs_in_without_a_final_message(door: Door) -> None:
    heard, error = await outcome(door, "bearer", initial(b"Bearer " + GOOD.encode()))
    assert (heard, error["C"], error["R"]) == ([], "28000", "pgjit:no-policy")
    assert door.provider.verified == [GOOD]


async def test_a_client_without_an_initial_response_is_requested_to_send_one(door: Door) -> None:
    empty = b"p" + struct.pack("!I", 4 + 12 + 4) + b"OAUTHBEARER\0" + b"\xff\xff\xff\xff"
    whole = encode_sasl_response(encode_initial(b"Bearer " + GOOD.encode()))
    heard, error = await outcome(door, "bearer", empty, whole)
    assert (heard, error["C"]) == ([("R", b"\0\0\0\x0b")], "28000")
    assert door.provider.verified == [GOOD]


@pytest.mark.parametrize(
    ("auth", "reference"),
    [
        (b"", "discovery"),
        (b"Bearer wrong", "unknown"),
        (b"bearer  wrong", "unknown"),
        (b"Bearer", "not-a-bearer-token"),
        (b"Bearer ", "not-a-bearer-token"),
        (b"Basic Zm9v", "not-a-bearer-token"),
        (b"Bearer a b", "not-a-bearer-token"),
        (b"Bearer a,b", "not-a-bearer-token"),
        (b"Bearer\ta", "not-a-bearer-token"),
        (b"Bearer " + b"x" * LIMIT, "unknown"),
        (b"Bearer " + b"x" * (LIMIT + 1), "too-large"),
    ],
)
async def test_the_answer_to_a_refused_token_says_where_a_good_one_comes_from(
    door: Door, auth: bytes, reference: str
) -> None:
    heard, error = await outcome(door, "bearer", initial(auth), encode_sasl_response(b"\x01"))
    _, wrong = await outcome(door, "shop", encode_password(b"wrong"))
    assert error == wrong
    [(kind, body)] = heard
    assert (kind, body[:4]) == ("R", b"\0\0\0\x0b")
    assert json.loads(body[4:]) == {
        "status": "invalid_token",
        "openid-configuration": DISCOVERY.openid_configuration,
        "scope": DISCOVERY.scope,
    }
    assert door.references == [reference, "unknown"]


@pytest.mark.parametrize("last", [b"\x01\x01", b"n,,", b"", b"x" * 100])
async def test_the_answer_to_the_discovery_message_makes_no_difference(door: Door, last: bytes) -> None:
    _, error = await outcome(door, "bearer", initial(b"Bearer wrong"), encode_sasl_response(last))
    assert error["C"] == "28P01"
    assert door.references == ["unknown"]


async def test_a_client_that_leaves_at_a_refusal_is_recorded_as_refused(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await auth_request(door, client, "bearer")
        await client.send(initial(b"Bearer wrong"))
        assert (await client.frame() or ("", b""))[0] == "R"
    await door.empty()
    assert door.references == ["unknown"]


@pytest.mark.parametrize(
    ("message", "sqlstate"),
    [
        (encode_sasl_initial("SCRAM-SHA-256", b"n,,n=ann,r=x"), "08P01"),
        (encode_sasl_initial("oauthbearer", encode_initial(b"")), "08P01"),
        (encode_sasl_initial("OAUTHBEARER", b""), "08P01"),
        (encode_sasl_initial("OAUTHBEARER", b"y,,\x01auth=Bearer x\x01\x01"), "08P01"),
        (encode_sasl_initial("OAUTHBEARER", b"p=tls-server-end-point,,\x01auth=Bearer x\x01\x01"), "08P01"),
        (encode_sasl_initial("OAUTHBEARER", b"n,a=eve,\x01auth=Bearer x\x01\x01"), "0A000"),
        (encode_sasl_initial("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01"), "08P01"),
        (encode_sasl_initial("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01\0"), "08P01"),
        (encode_password(b"plain"), "08P01"),
        (b"p" + struct.pack("!I", 4 + 12 + 4) + b"OAUTHBEARER\0" + b"\0\0\0\x05", "08P01"),
        (b"p" + struct.pack("!I", 4 + 12 + 4) + b"OAUTHBEARER\0" + b"\xff\xff\xff\xfe", "08P01"),
    ],
)
async def test_a_malformed_exchange_never_reaches_the_provider(door: Door, message: bytes, sqlstate: str) -> None:
    heard, error = await outcome(door, "bearer", message)
    assert (heard, error["S"], error["C"]) == ([], "FATAL", sqlstate)
    assert door.provider.verified == []
    assert len(door.refused) == 1


async def test_a_message_over_the_limit_is_not_taken_apart(door: Door) -> None:
    heard, error = await outcome(door, "bearer", initial(b"Bearer " + b"x" * 100_000))
    assert (heard, error["C"]) == ([], "28P01")
    assert (door.references, door.provider.verified) == (["too-large"], [])
