"""Messages and frames: whole, byte by byte, cut short, with more behind; and garbage."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.errors import LocalProtocolError, RemoteProtocolError
from pgwire.framing import FrameReader, StreamReader
from pgwire.messages import authentication, extended, query, startup

NAMES = st.binary(max_size=8).filter(lambda name: b"\0" not in name)
VALUES = st.lists(st.none() | st.binary(max_size=8), max_size=4).map(tuple)
OIDS = st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple)
RESULTS = st.lists(st.integers(0, 1), max_size=3).map(tuple)

SAMPLES = {
    "query": (query.encode_query(b"select 1"), query.decode_query, b"select 1"),
    "parse": (
        extended.encode_parse(extended.Parse(b"s", b"select $1", (23,))),
        extended.decode_parse,
        extended.Parse(b"s", b"select $1", (23,)),
    ),
    "bind": (
        extended.encode_bind(extended.Bind(b"", b"s", (1,), (b"\0\0\0\1", None), (0,))),
        extended.decode_bind,
        extended.Bind(b"", b"s", (1,), (b"\0\0\0\1", None), (0,)),
    ),
    "execute": (
        extended.encode_execute(extended.Execute(b"p", 5)),
        extended.decode_execute,
        extended.Execute(b"p", 5),
    ),
    "describe": (
        extended.encode_target(b"D", extended.Target("S", b"s")),
        extended.decode_target,
        extended.Target("S", b"s"),
    ),
    "password": (authentication.encode_password(b"token"), authentication.decode_password, b"token"),
    "key data": (
        authentication.backend_key_data(7, b"1234"),
        authentication.decode_backend_key_data,
        (7, b"1234"),
    ),
    "error": (
        query.error_response({"S": "ERROR", "C": "42501", "M": "no"}),
        query.decode_error,
        {"S": "ERROR", "C": "42501", "M": "no"},
    ),
    "parameter": (query.parameter_status("a", "b"), query.decode_parameter_status, ("a", "b")),
    "complete": (query.command_complete("SELECT 1"), query.decode_command_complete, "SELECT 1"),
    "ready": (query.ready_for_query(b"T"), query.decode_ready, "T"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_is_read_as_it_was_written(name: str) -> None:
    raw, decode, value = SAMPLES[name]
    assert decode(raw[5:]) == value


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_that_is_cut_short_or_goes_on_is_a_fault_of_the_peer(name: str) -> None:
    raw, decode, _ = SAMPLES[name]
    body = raw[5:]
    for cut in range(len(body)):
        if name == "key data" and cut >= 8:
            continue
        with pytest.raises(RemoteProtocolError):
            decode(body[:cut])
    if name != "key data":
        with pytest.raises(RemoteProtocolError):
            decode(body + b"x\0")


@given(NAMES, NAMES, OIDS)
def test_parse_round_trip(name: bytes, text: bytes, types: tuple[int, ...]) -> None:
    parse = extended.Parse(name, text, types)
    assert extended.decode_parse(extended.encode_parse(parse)[5:]) == parse


@given(NAMES, NAMES, VALUES, st.integers(0, 1), RESULTS)
def test_bind_round_trip(
    portal: bytes, name: bytes, values: tuple[bytes | None, ...], code: int, results: tuple[int, ...]
) -> None:
    for formats in ((), (code,), tuple(code for _ in values)):
        bind = extended.Bind(portal, name, formats, values, results)
        assert extended.decode_bind(extended.encode_bind(bind)[5:]) == bind


@given(st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=6), max_size=4))
def test_startup_round_trip(parameters: dict[str, str]) -> None:
    if any("\0" in text for pair in parameters.items() for text in pair):
        with pytest.raises(LocalProtocolError):
            startup.encode_startup(parameters)
        return
    packet = startup.encode_startup(parameters)
    assert startup.startup_length(packet[:4]) == len(packet) - 4
    assert startup.decode_startup(packet[4:]) == startup.StartupMessage(3, 0, parameters)


@given(st.binary(max_size=60))
def test_garbage_raises_nothing_but_the_peers_fault(garbage: bytes) -> None:
    decoders = [decode for _, decode, _ in SAMPLES.values()]
    for decode in [*decoders, startup.decode_startup, authentication.decode_authentication]:
        with contextlib.suppress(RemoteProtocolError):
            decode(garbage)
    for feed in (FrameReader(lambda _: 100).feed, StreamReader(limit=100).feed):
        with contextlib.suppress(RemoteProtocolError):
            feed(garbage)


STREAM = b"".join(raw for raw, _, _ in SAMPLES.values())
ROWS = b"D\0\0\0\x0bhello!!" * 5 + b"C\0\0\0\x0dSELECT 5\0" + b"D\0\0\0\x04" + b"Z\0\0\0\x05I"


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_frames(cuts: list[int]) -> None:
    reader = FrameReader(lambda _: 1000)
    frames = [frame.raw for piece in _pieces(STREAM, cuts) for frame in reader.feed(piece)]
    assert frames == [raw for raw, _, _ in SAMPLES.values()]
    assert reader.pending == 0


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_stream_and_counts(cuts: list[int]) -> None:
    reader = StreamReader(limit=1000)
    out, rows, size, kinds = b"", 0, 0, []
    for piece in _pieces(ROWS, cuts):
        chunk, controls = reader.feed(piece)
        out += chunk
        for control in controls:
            rows += control.rows
            size += control.size
            kinds += [chr(control.kind)] if control.kind else []
    assert (out, rows, size, kinds) == (ROWS, 6, 5 * 12 + 5, ["C", "Z"])


@pytest.mark.parametrize("raw", [b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"Q\0\0\x10\0"])
def test_a_frame_of_impossible_length_is_refused_before_it_is_buffered(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        FrameReader(lambda _: 100).feed(raw)


@pytest.mark.parametrize("length", [0, 3, 7, 10_005, 2**31])
def test_startup_packets_have_bounds(length: int) -> None:
    with pytest.raises(RemoteProtocolError):
        startup.startup_length(length.to_bytes(4, "big"))
