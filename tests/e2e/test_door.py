"""What never becomes a session: plain text, bad tokens, no policy, odd startup packets."""

from __future__ import annotations

import asyncio
import ssl
import struct
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.framing import FrameReader
from pgwire.messages.query import decode_error
from pgwire.messages.startup import encode_cancel, encode_ssl_request, encode_startup
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, ask, open_world, records
from tests.fakes.local_http import local_http
from tests.run.journal_text import journal_text
from tests.run.waiting import until_it_holds


async def _exchange(world: World, *pieces: bytes) -> bytes:
    """Send `pieces` in plain text, and read until the proxy closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.app.port)
    for piece in pieces:
        writer.write(piece)
    await writer.drain()
    try:
        return await reader.read()
    except ConnectionResetError:  # closed with bytes of ours unread: nothing was said
        return b""
    finally:
        writer.close()


async def _in_tls(world: World, packet: bytes) -> list[tuple[str, bytes]]:
    """Send a startup packet inside (direct) TLS, and read the frames that come until something is asked."""
    context = ssl.create_default_context(cafile=str(world.certificates.authority))
    context.set_alpn_protocols(["postgresql"])
    reader, writer = await asyncio.open_connection("localhost", world.app.port, ssl=context)
    writer.write(packet)
    frames: list[tuple[str, bytes]] = []
    splitter = FrameReader(lambda _: 1 << 20)
    while data := await reader.read(65536):
        frames += [(chr(frame.kind), frame.body) for frame in splitter.feed(data)]
        if frames[-1][0] in "RE":
            break
    writer.transport.abort()
    return frames


async def test_a_plain_startup_is_refused_before_a_password_is_asked(world: World) -> None:
    answer = await _exchange(world, encode_startup({"user": "reader", "database": "prod-replica"}))
    assert answer[:1] == b"E"
    fields = decode_error(answer[5:])
    assert (fields["S"], fields["C"]) == ("FATAL", "28000")
    assert "sslmode=verify-full" in fields["H"]
    assert records(world, "login.refused")[0]["reference"] == "tls-required"


async def test_a_client_that_prefers_tls_never_sends_its_token_in_plain_text(world: World) -> None:
    """libpq falls back to plain text after a refusal inside TLS: it must be stopped before it sends anything."""
    conninfo = world.conninfo("reader").replace("sslmode=verify-full", "sslmode=prefer")
    with pytest.raises(psycopg.OperationalError, match="not encrypted"):
        await psycopg.AsyncConnection.connect(conninfo, password="not-a-token")


async def test_bytes_stuffed_behind_the_request_for_tls_are_refused(world: World) -> None:
    answer = await _exchange(world, encode_ssl_request() + encode_startup({"user": "reader"}))
    assert answer == b""
    assert records(world, "login.refused")[0]["reference"] == "handshake-failed"


MALFORMED = [
    struct.pack("!II", 3, 196608),
    struct.pack("!I", 0x7FFFFFFF) + b"x" * 100,
    struct.pack("!II", 8, 196608),
    struct.pack("!II", 9, 196608) + b"x",
    struct.pack("!II", 18, 196608) + b"user\0a\0\0x\0",
    struct.pack("!II", 17, 196608) + b"user\0a\0\0\0",
    b"GET / HTTP/1.1\r\n\r\n",
]


async def test_malformed_startup_packets_are_closed_without_a_word(world: World) -> None:
    for packet in MALFORMED:
        assert await _exchange(world, packet) == b"", packet


OFF_THE_LIST = [
    ({"options": "--default-transaction-read-only=off"}, "28000"),
    ({"options": "-c default_transaction_read_only=off"}, "28000"),
    ({"Default_Transaction_Read_Only": "off"}, "28000"),
    ({"client_encoding": "SJIS"}, "28000"),
    ({"replication": "true"}, "0A000"),
    ({"search_path": "evil"}, "28000"),
    ({"session_authorization": "postgres"}, "28000"),
    ({"DateStyle": "ISO", "datestyle": "SQL"}, "08P01"),
]


async def test_startup_parameters_off_the_list_are_refused(world: World) -> None:
    for parameters, sqlstate in OFF_THE_LIST:
        frames = await _in_tls(world, encode_startup({"user": "reader", "database": "prod-replica", **parameters}))
        assert [kind for kind, _ in frames] == ["E"], parameters
        assert decode_error(frames[0][1])["C"] == sqlstate, parameters


async def test_startup_parameters_on_the_list_are_accepted(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(
        world, token, "reader", options="-c TimeZone=Asia/Tokyo -c pgjit.reason='schema diff, week 47'"
    ) as connection:
        assert await (await connection.execute("SHOW TimeZone")).fetchone() == ("Asia/Tokyo",)
    assert records(world, "window.opened")[0]["reason"] == "schema diff, week 47"


async def test_reason_and_ticket_of_every_session_are_on_record(world: World) -> None:
    """Also of a session that joins a window which another reason opened."""
    token = await world.token(add_reader(world))
    first, second = (f"-c pgjit.reason={word} -c pgjit.ticket=OPS-{word}" for word in ("first", "second"))
    for options in (first, second, ""):
        async with await connect_psycopg(world, token, "reader", options=options):
            pass
    opened = [(r.get("reason"), r.get("ticket")) for r in records(world, "session.opened")]
    assert opened == [
        ("first (ticket OPS-first)", "OPS-first"),
        ("second (ticket OPS-second)", "OPS-second"),
        (None, None),
    ]
    assert [r["reason"] for r in records(world, "window.opened")] == ["first (ticket OPS-first)"]


async def test_a_newer_protocol_is_negotiated_down(world: World) -> None:
    packet = encode_startup({"user": "reader", "database": "prod-replica", "_pq_.test": "1"}, minor=9999)
    frames = await _in_tls(world, packet)
    assert [kind for kind, _ in frames] == ["v", "R"]
    assert frames[0][1] == struct.pack("!Ii", 3 << 16 | 2, 1) + b"_pq_.test\0"


async def test_every_bad_token_reads_alike_and_the_journal_has_the_reason(world: World) -> None:
    agent = add_reader(world)
    good = await world.token(agent)
    header, payload, signature = good.split(".")
    bad = {
        "": "empty",
        "hunter2": None,
        f"{header}.{payload}.{signature[:-6]}AAAAAA": None,
        f"{header}.{payload}.": None,
        good + "==": None,
        "x" * 40_000: "too-large",
    }
    texts = set()
    for token, reason in bad.items():
        with pytest.raises(psycopg.OperationalError) as refused:
            # libpq itself refuses to send an empty password: a blank one is what reaches us.
            await connect_psycopg(world, token or " ", "reader")
        texts.add(str(refused.value).split("FATAL:")[-1])
        if reason == "too-large":
            assert records(world, "login.refused")[-1]["reference"] == reason
    assert len(texts) == 1
    assert [r["sqlstate"] for r in records(world, "login.refused")] == ["28P01"] * len(bad)
    assert records(world, "window.opened") == []


async def test_an_identity_without_a_policy_is_refused(world: World) -> None:
    stranger = world.emulator.add_app("a stranger", groups=["99999999-9999-4999-8999-999999999999"])
    token = await world.token(stranger)
    for policy in ("reader", "writer", "anything"):
        with pytest.raises(psycopg.OperationalError, match="no policy opens"):
            await connect_psycopg(world, token, policy)
    reader = await world.token(add_reader(world))
    with pytest.raises(psycopg.OperationalError, match="no policy opens"):
        await connect_psycopg(world, reader, "writer", "write-target")
    with pytest.raises(psycopg.OperationalError, match="no policy opens"):
        await connect_psycopg(world, reader, "reader", "nowhere")
    assert records(world, "window.opened") == []


async def test_another_user_name_is_accepted_where_one_policy_covers_the_connection(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "whoever") as connection:
        row = await (await connection.execute("SHOW pgjit.policy")).fetchone()
    assert row is not None
    assert str(row[0]).startswith("reader ")


async def test_a_cancel_key_that_was_not_issued_here_cancels_nothing(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        pid = connection.info.backend_pid
        running = asyncio.create_task(connection.execute("SELECT 'done' FROM pg_sleep(0.5)"))
        assert await _exchange(world, encode_cancel(pid, b"\0\0\0\0")) == b""
        assert await (await running).fetchone() == ("done",)


async def test_a_silent_client_is_let_go_and_holds_up_nobody(database: DemoDatabase, tmp_path: Path) -> None:
    limits = {"limits": {"handshake_seconds": 0.5}}
    async with open_world(database, tmp_path, config=limits) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.app.port)
        assert await asyncio.wait_for(reader.read(), timedelta(seconds=5).total_seconds()) == b""
        writer.close()


async def test_the_login_role_of_the_server_is_never_shown_in_an_error(
    database: DemoDatabase, tmp_path: Path
) -> None:
    secret = tmp_path / "wrong"
    secret.write_text("wrong-password-of-the-role")
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    connections = {
        name: {**place, "user": database.user, "password": {"file": str(secret)}}
        for name in ("prod-replica", "write-target")
    }
    async with open_world(database, tmp_path, config={"connections": connections}) as world:
        token = await world.token(add_reader(world))
        with pytest.raises(psycopg.OperationalError, match="cannot be used now") as refused:
            await connect_psycopg(world, token, "reader")
        assert database.user not in str(refused.value)
        async with local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as client:
            ready = await client.get("/readyz")
            assert ready.status_code == 200, "one server that cannot be used takes no node out of a balancer"
            assert ready.json()["warnings"][0].startswith("connection/prod-replica: ")
        assert "wrong-password" not in journal_text(world.journal) + str(refused.value)
    assert await ask(database, "SELECT 1") == 1


async def test_health_and_readiness_are_told_on_the_admin_port(world: World) -> None:
    async with local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as client:
        assert (await client.get("/healthz")).status_code == 200

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await until_it_holds(is_ready)
        ready = await client.get("/readyz")
        assert ready.json()["status"] == "ready"

        async def connections() -> set[str]:
            checks = (await client.get("/readyz?verbose&format=json")).json()["checks"]
            return {checks[f"connection/{name}"]["known"] for name in ("prod-replica", "write-target")}

        async def are_up() -> bool:  # nobody has logged in: who looks causes it
            return await connections() == {"its control connection is up"}

        await until_it_holds(are_up)
        text = (await client.get("/readyz?verbose")).text
        assert "[+]catalog/prod-replica ok: no session has needed it yet\n" in text
        assert text.endswith("readyz check passed\n")


async def test_a_setting_that_the_server_does_not_take_is_told_by_its_name(world: World) -> None:
    token = await world.token(add_reader(world))
    for name in ("TimeZone", "DateStyle", "IntervalStyle"):
        with pytest.raises(psycopg.OperationalError, match=f'invalid value for parameter "{name}": "Mars/Olympus"'):
            await connect_psycopg(world, token, "reader", options=f"-c {name}=Mars/Olympus")
    assert [record["reference"] for record in records(world, "login.refused")] == ["startup-parameter"] * 3
    assert not records(world, "session.opened")
