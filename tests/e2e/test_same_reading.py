"""PostgreSQL and pgjit read the same in the same bytes: what one takes for well-formed, so does the other.

A message that pgjit reads otherwise than the server would be judged as one thing and run as another. The bytes go
straight to a real server, past the proxy.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgjit.demo.database import DemoDatabase
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader
from pgwire.messages.extended import (
    Bind,
    DescribeTarget,
    Execute,
    Parse,
    decode_bind,
    decode_execute,
    decode_parse,
    decode_target,
    encode_bind,
    encode_execute,
    encode_parse,
    encode_target,
    flush,
    sync,
)
from pgwire.messages.function_call import FunctionCall, decode_function_call, encode_function_call
from pgwire.messages.query import decode_empty, decode_error, decode_query, encode_query
from pgwire.messages.results import decode_data_row
from pgwire.messages.startup import MAX_STARTUP, decode_startup, encode_startup
from pgwire.reader import message

RANDOM, PLUS = 1598, 177  # the object ids of random() and int4pl(integer, integer)
STATEMENT, PORTAL = b"known", b""
# Well-formed, but the statement or the function takes more or fewer.
COUNTS = ("bind message supplies", "arguments but function requires")
STRICTER = "format code that does not exist"  # the server finds that out only when it formats


class Server:
    """A connection whose bytes are the test's own, as an account that may write nothing."""

    def __init__(self, database: DemoDatabase) -> None:
        self._database = database
        self._socket: socket.socket | None = None

    def ask(self, raw: bytes, last: bytes = b"Z") -> list[Frame]:
        """What is answered up to a message of type `last`, or up to the end of the connection."""
        if self._socket is None:
            self._socket = dial(self._database)
            self._exchange(encode_startup({"user": "postgres", "database": self._database.database}), last)
            self._exchange(encode_query(b"SET SESSION AUTHORIZATION pgjit_agent; SET statement_timeout = '5s'"), last)
            self._exchange(encode_parse(Parse(STATEMENT, b"SELECT $1::text, $2::text", ())) + sync(), last)
        return self._exchange(raw, last)

    def _exchange(self, raw: bytes, last: bytes) -> list[Frame]:
        assert self._socket is not None
        self._socket.sendall(raw)
        reader = FrameReader(lambda _: 1 << 20)
        found: list[Frame] = []
        while not found or found[-1].kind != last[0]:
            piece = self._socket.recv(65536)
            if not piece:
                self.close()
                break
            found += reader.feed(piece)
        return found

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def dial(database: DemoDatabase) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX)
    plain.settimeout(60)
    plain.connect(f"{database.socket_dir}/.s.PGSQL.{database.port}")
    return plain


@pytest.fixture(scope="module")
def server(database: DemoDatabase) -> Iterator[Server]:
    connected = Server(database)
    yield connected
    connected.close()


def malformed(answers: list[Frame]) -> bool:
    """The server could not read the message, whatever it thinks of what the message asks for."""
    errors = [decode_error(frame.body) for frame in answers if frame.kind == 0x45]
    return any(one["C"] == "08P01" and not any(count in one["M"] for count in COUNTS) for one in errors)


def refused(decode: Callable[[bytes], Any], body: bytes) -> str | None:
    """Why pgjit does not read `body`."""
    try:
        decode(body)
    except RemoteProtocolError as fault:
        return str(fault)
    return None


CHANGED = [
    pytest.param(decode_query, encode_query(b"SELECT 1"), 0, id="Query"),
    pytest.param(decode_parse, encode_parse(Parse(b"", b"SELECT $1", (23,))), 0, id="Parse"),
    pytest.param(decode_bind, encode_bind(Bind(PORTAL, STATEMENT, (0, 1), (b"7", None), (0, 1))), 0, id="Bind"),
    pytest.param(decode_execute, encode_execute(Execute(PORTAL, 1)), 0, id="Execute"),
    pytest.param(decode_target, encode_target(b"D", DescribeTarget("S", STATEMENT)), 0, id="Describe"),
    pytest.param(decode_target, encode_target(b"C", DescribeTarget("S", b"other")), 0, id="Close"),
    pytest.param(decode_empty, sync(), 0, id="Sync"),
    pytest.param(decode_empty, flush(), 0, id="Flush"),
    # The object id stays as it is: another one is another function.
    pytest.param(decode_function_call, encode_function_call(FunctionCall(RANDOM, (), (), 0)), 4, id="FunctionCall"),
    pytest.param(
        decode_function_call,
        encode_function_call(FunctionCall(PLUS, (0, 0), (b"1", b"2"), 1)),
        4,
        id="FunctionCall with arguments",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("decode", "raw", "fixed"), CHANGED)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_pgjit_reads_the_server_reads_and_the_other_way_round(
    server: Server, decode: Callable[[bytes], Any], raw: bytes, fixed: int, data: st.DataObject
) -> None:
    kind, body = raw[:1], raw[5:]
    at = data.draw(st.integers(fixed, len(body)))
    gone = data.draw(st.integers(0, len(body) - at))
    body = body[:at] + data.draw(st.binary(max_size=4)) + body[at + gone :]
    closing = b"" if kind in b"QFS" else sync()
    answers = server.ask(message(kind, body) + closing)
    reason = refused(decode, body)
    if reason is None:
        assert not malformed(answers), "pgjit would judge what the server cannot read"
    elif reason != STRICTER:
        assert any(frame.kind == 0x45 for frame in answers), "pgjit refuses what the server runs"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80),
    comment=st.text(st.characters(exclude_characters="\0*/", exclude_categories=["Cs"]), max_size=20),
    behind=st.binary(max_size=6),
)
def test_the_server_knows_a_statement_by_the_name_and_the_text_that_pgjit_reads(
    server: Server, name: str, comment: str, behind: bytes
) -> None:
    text = f"SELECT 1 /*{comment}*/"
    body = name.encode() + b"\0" + text.encode() + b"\0" + (behind or b"\0\0")
    server.ask(encode_query(b"DEALLOCATE ALL"))
    answers = server.ask(message(b"P", body) + sync())
    accepted = answers[0].kind == 0x31
    assert accepted == (refused(decode_parse, body) is None)
    if accepted:
        parse = decode_parse(body)
        known = server.ask(encode_query(b"SELECT name, statement FROM pg_prepared_statements"))
        rows = [decode_data_row(frame.body) for frame in known if frame.kind == 0x44]
        assert (parse.name, parse.text) == (name.encode(), text.encode())
        assert rows == [(parse.name[:63], parse.text)], (
            "the server tells names apart by 63 bytes: see prepared_statements.py"
        )
    server.close()  # the statement that the other test knows is gone


FIRST = encode_startup({"user": "nobody", "database": "shop"})[4:]


@pytest.mark.parametrize(
    "body",
    [
        FIRST,
        *[FIRST[:cut] for cut in range(4, len(FIRST), 3)],
        FIRST[:-1],
        FIRST[:-2],
        FIRST + b"\0",
        FIRST + b"\0\0",
        FIRST + b"x\0",
        FIRST[:-1] + b"x\0",
        FIRST[:-1] + b"x\0\0",
        FIRST[:-1] + b"x\0\0\0",
        FIRST[:-1] + b"\0\0",
        FIRST[:4] + b"\0",
        FIRST[:4] + b"\0\0",
        FIRST[:4] + b"\0" * 20,
    ],
)
def test_a_startup_packet_that_the_server_cannot_read_is_refused_by_pgjit(
    database: DemoDatabase, body: bytes
) -> None:
    assert len(body) <= MAX_STARTUP
    with dial(database) as plain:
        plain.sendall((len(body) + 4).to_bytes(4, "big") + body)
        (frame,) = FrameReader(lambda _: 1 << 20).feed(plain.recv(65536))
    layout = "invalid startup packet layout" in decode_error(frame.body)["M"]
    assert layout == (refused(decode_startup, body) is not None)
