"""The relay between any client and any server: what both say is fuzzed, in turns.

Raises where something is wrong: an exception that is no fault of either side, a message to the server of a type
that may not be sent, text that was refused and goes on all the same, an execution without its record (`BothEnds` sees
to that).
"""

from __future__ import annotations

from collections.abc import Iterator

from pgwire.errors import RemoteProtocolError
from pgwire.framing import CONTINUED, FrameReader
from pgwire.messages.extended import decode_parse
from pgwire.messages.query import decode_query
from pgwire.state import FRONTEND, Phase
from tests.fakes.both_ends import BothEnds, answer, bind, close, describe, error, execute, parse, query

__all__ = ["SEEDS", "relay"]

_FORWARDED = FRONTEND[Phase.READY] | FRONTEND[Phase.COPYING] | {CONTINUED}
_CLIENT, _SERVER = b"\0", b"\1"


def _turns(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Who speaks (the lowest bit), how many bytes, and those."""
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + data[at + 1]
        yield data[at] & 1 == 1, data[at + 2 : end]
        at = end


def relay(data: bytes) -> None:
    ends = BothEnds()
    at_server = FrameReader(lambda _: 100_000, data=b"d")
    for from_server, data_sent in _turns(data):
        if from_server:
            step = ends.server(data_sent)
            if step.fault is not None:
                return
            continue
        try:
            plan = ends.client(data_sent)
        except RemoteProtocolError:
            return  # no frame: the reader refuses it before the relay sees it
        _held(at_server, plan.data)
        if plan.fault is not None or plan.goodbye:
            return


def _held(at_server: FrameReader, sent: bytes) -> None:
    """What may go to the server is messages of known types, and none of them with a refused text."""
    for frame in at_server.feed(sent):
        assert frame.kind in _FORWARDED
        text = b""
        if frame.kind == 0x51:
            text = decode_query(frame.body)
        elif frame.kind == 0x50:
            text = decode_parse(frame.body).text
        assert b"unread" in text or (b"bad" not in text and b"broken" not in text)
    assert at_server.pending == 0, "only data is sent on in part"


def _seed(*turns: bytes) -> bytes:
    """Turns that begin with who speaks."""
    return b"".join([turn[:1] + bytes([len(turn) - 1]) + turn[1:] for turn in turns])


_READY, _DONE = answer("Z", b"I"), answer("C", b"SELECT 1\0")
_SYNC = b"S\0\0\0\x04"

_GOOD = parse("SELECT 1") + bind() + execute()
_BAD = parse("bad") + bind() + execute()
_REJECTED = error("42601", 'at "pgjit_deny_0001"')

SEEDS = (
    _seed(_CLIENT + query("SELECT 1; SELECT 2"),
          _SERVER + answer("T", b"\0\0") + answer("D", b"\0\0") + _DONE + _DONE + _READY),
    _seed(_CLIENT + query("bad"), _SERVER + _REJECTED + _READY),
    _seed(_CLIENT + parse("SELECT 1", b"a") + bind(b"a") + describe() + execute(limit=1) + execute() + _SYNC,
          _SERVER + answer("1") + answer("2") + answer("n") + answer("s") + _DONE + _READY,
          _CLIENT + close("S", b"a") + _SYNC,
          _SERVER + answer("3") + _READY),
    _seed(_CLIENT + _BAD + _SYNC, _SERVER + _REJECTED + _READY),
    _seed(_CLIENT + _GOOD + _BAD + _SYNC,
          _SERVER + answer("1") + answer("2") + error("22012", "division by zero") + _READY),
    _seed(_CLIENT + query("PREPARE a AS SELECT 1; EXECUTE a"), _SERVER + _DONE + _DONE + _READY,
          _CLIENT + query("EXECUTE a; DEALLOCATE a; DISCARD ALL"),
          _SERVER + _DONE + error("57014", "canceled") + _READY),
    _seed(_CLIENT + query("SHOW pgjit.window"),
          _SERVER + answer("H", b"\0\0\0") + answer("d") + answer("c") + _DONE + _READY),
    _seed(_CLIENT + query("COPY x FROM STDIN"), _SERVER + answer("G", b"\0\0\0"),
          _CLIENT + b"d\0\0\0\x061\nd\0\0\0\x062", _CLIENT + b"\nc\0\0\0\x04", _SERVER + _DONE + _READY),
    _seed(_CLIENT + b"F\0\0\0\x0e\0\0\x06\x3e\0\0\0\0\0\0", _SERVER + _REJECTED + _READY),
    _seed(_CLIENT + b"X\0\0\0\x04"),
    _seed(_SERVER + answer("S", b"TimeZone\0UTC\0") + answer("A", b"\0\0\0\1a\0\0") + answer("N", b"\0")),
)  # fmt: skip
