"""The red-team collection's rows of the wire protocol: each is a test, here or where the table says."""

from __future__ import annotations

import asyncio
import importlib
import json
import struct
from pathlib import Path

from pgjit.demo.world import World
from pgwire.messages.query import decode_error, encode_query
from pgwire.messages.startup import encode_startup
from pgwire.reader import message
from tests.e2e.test_holes import SYNC, bind, close, execute, log_in, parse, said
from tests.e2e.worlds import add_reader, records
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient, trusting
from tests.run.waiting import until

COLLECTION = Path(__file__).parents[1] / "fixtures" / "redteam" / "read-only.jsonl"
DOOR = "tests.e2e.test_door:"
TESTED = {
    "proto-04": DOOR + "test_startup_parameters_off_the_list_are_refused",
    "proto-05": "test_a_key_given_twice_opens_nothing",
    "proto-07": DOOR + "test_startup_parameters_off_the_list_are_refused",
    "proto-08": DOOR + "test_startup_parameters_off_the_list_are_refused",
    "proto-09": "test_the_startup_of_a_normal_driver_is_accepted",
    "proto-10": DOOR + "test_bytes_stuffed_behind_the_request_for_tls_are_refused",
    "proto-12": "test_a_length_below_four_ends_the_session",
    "proto-14": "test_bytes_behind_the_zero_byte_of_a_query_end_the_session",
    "proto-15": "test_two_statements_in_a_parse_are_refused",
    "proto-18": "test_a_bind_to_a_name_that_was_never_parsed_is_refused",
    "proto-19": "test_what_sql_prepared_is_bound_by_its_name",
    "proto-22": "test_a_pipeline_of_reads_is_answered_in_order",
    "proto-26": DOOR + "test_a_cancel_key_that_was_not_issued_here_cancels_nothing",
    "proto-29": "tests.proxy.relay.test_server_side:"
    "test_a_setting_that_must_not_change_ends_the_session_before_anything_else_goes_on",
    "proto-30": "test_a_chain_of_24100_terms_is_refused_and_the_session_lives_on",
    "proto-32": "test_the_small_messages_are_answered",
}


def test_every_row_of_the_protocol_is_a_test() -> None:
    rows = map(json.loads, COLLECTION.read_text("utf-8").splitlines())
    assert {row["id"] for row in rows if "protocol" in row} == set(TESTED)
    for where in TESTED.values():
        module, _, name = where.rpartition(":")
        assert callable(getattr(importlib.import_module(module or __name__), name))


def kinds(heard: list[ReceivedFrame]) -> str:
    return "".join(kind for kind, _ in heard)


def errors(heard: list[ReceivedFrame]) -> list[tuple[str, str]]:
    fields = [decode_error(body) for kind, body in heard if kind == "E"]
    return [(one["C"], one.get("R", "")) for one in fields]


def values(heard: list[ReceivedFrame]) -> list[bytes]:
    return [body[6:] for kind, body in heard if kind == "D"]


async def opened(world: World, packet: bytes) -> list[ReceivedFrame]:
    client = await ScriptedClient.open(world.app.port)
    async with client:
        await client.start_tls(trusting(world.certificates.authority))
        await client.send(packet)
        return await client.frames(until="RE")


async def test_a_key_given_twice_opens_nothing(world: World) -> None:
    packet = encode_startup({"user": "reader", "database": "prod-replica", "application_name": "x"})
    for key in (b"user", b"database", b"application_name"):
        body = packet[4:-1] + key + b"\0postgres\0\0"
        heard = await opened(world, struct.pack("!I", len(body) + 4) + body)
        assert (kinds(heard), errors(heard)[0][0]) == ("E", "08P01"), key
    assert records(world, "session.opened") == []


async def test_the_startup_of_a_normal_driver_is_accepted(world: World) -> None:
    token = await world.token(add_reader(world))
    client = await ScriptedClient.open(world.app.port)
    async with client:
        await client.start_tls(trusting(world.certificates.authority))
        normal = {
            "client_encoding": "UTF8",
            "application_name": "driver",
            "extra_float_digits": "2",
            "DateStyle": "ISO",
        }
        await client.log_in({"user": "reader", "database": "prod-replica", **normal}, token)
        assert values(await said(client, encode_query(b"SHOW extra_float_digits"), 1)) == [b"2"]


async def test_a_length_below_four_ends_the_session(world: World) -> None:
    for length in (0, 1, 3, 0x80000000, 0xFFFFFFFF):
        async with await log_in(world) as client:
            await client.send(b"Q" + struct.pack("!I", length) + b"SELECT 1\0")
            heard = await client.frames()
            assert (kinds(heard), errors(heard)[0][0]) == ("E", "08P01"), length
    assert records(world, "execution") == []


async def test_bytes_behind_the_zero_byte_of_a_query_end_the_session(world: World) -> None:
    for behind in (b"x", b"\0", b"DROP TABLE notes\0"):
        async with await log_in(world) as client:
            await client.send(message(b"Q", b"SELECT 1\0" + behind))
            heard = await client.frames()
            assert (kinds(heard), errors(heard)[0][0]) == ("E", "08P01"), behind
    assert records(world, "outcome") == []


async def test_two_statements_in_a_parse_are_refused(world: World) -> None:
    async with await log_in(world) as client:
        heard = await said(client, parse(b"", b"SELECT 1; SELECT 2") + bind(b"", b"") + execute() + SYNC, 1)
        assert kinds(heard) == "EZ"
        assert errors(heard) == [("42601", "pgjit:several-statements")]
        assert values(await said(client, encode_query(b"SELECT 3"), 1)) == [b"3"]


async def test_a_bind_to_a_name_that_was_never_parsed_is_refused(world: World) -> None:
    async with await log_in(world) as client:
        for name in (b"", b"leftover"):
            heard = await said(client, bind(b"", name) + execute() + SYNC, 1)
            assert kinds(heard) == "EZ"
            assert errors(heard) == [("26000", "pgjit:unknown-name")]


async def test_what_sql_prepared_is_bound_by_its_name(world: World) -> None:
    async with await log_in(world) as client:
        await said(client, encode_query(b"PREPARE shared AS SELECT 7"), 1)
        assert values(await said(client, bind(b"", b"shared") + execute() + SYNC, 1)) == [b"7"]
        await said(client, parse(b"other", b"SELECT 8") + SYNC, 1)
        assert values(await said(client, encode_query(b"EXECUTE other"), 1)) == [b"8"]


async def test_a_pipeline_of_reads_is_answered_in_order(world: World) -> None:
    async with await log_in(world) as client:
        pipeline = b"".join(parse(b"", b"SELECT %d" % n) + bind(b"", b"") + execute() for n in (1, 2, 3))
        heard = await said(client, pipeline + SYNC, 1)
        assert (kinds(heard), values(heard)) == ("12DC" * 3 + "Z", [b"1", b"2", b"3"])
    assert [record["statement"] for record in records(world, "execution")] == ["SELECT 1", "SELECT 2", "SELECT 3"]


async def test_a_chain_of_24100_terms_is_refused_and_the_session_lives_on(world: World) -> None:
    chain = b"SELECT 1" + b"+1" * 24_099
    async with await log_in(world) as client:
        for sent in (encode_query(chain), parse(b"", chain) + SYNC):
            [(state, routine)] = errors(await said(client, sent, 1))
            assert (state[:2], routine.partition(":")[0]) == ("54", "pgjit")
        assert values(await said(client, encode_query(b"SELECT 1"), 1)) == [b"1"]


async def test_the_small_messages_are_answered(world: World) -> None:
    async with await log_in(world) as client:
        await client.send(parse(b"s", b"SELECT $1::int") + message(b"D", b"Ss\0") + message(b"H", b""))
        assert kinds(await client.frames(until="T")) == "1tT"
        heard = await said(client, bind(b"", b"s", b"7") + message(b"D", b"P\0") + execute() + SYNC, 1)
        assert (kinds(heard), values(heard)) == ("2TDCZ", [b"7"])
        assert kinds(await said(client, close(b"S", b"s") + close(b"P", b"none") + SYNC, 1)) == "33Z"
        await client.send(message(b"X", b""))
        assert await client.frames() == []
    async with asyncio.timeout(60):
        ended = await until(lambda: records(world, "session.ended"))
    assert ended[0]["reason"] == "client"
