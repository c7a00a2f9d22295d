"""Streams cut anywhere: the same frames, the same forwarded bytes, the same counts."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.errors import RemoteProtocolError
from pgwire.framing import CONTINUED, Frame, FrameReader, StreamReader


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


bodies = st.binary(max_size=30)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(st.tuples(st.sampled_from([b"Q", b"P", b"S"]), bodies), max_size=8), cuts)
def test_any_split_gives_the_same_frames(messages: list[tuple[bytes, bytes]], at: list[int]) -> None:
    raws = [frame(kind, body) for kind, body in messages]
    reader = FrameReader(lambda _: 100)
    found = [one for piece in pieces_of(b"".join(raws), at) for one in reader.feed(piece)]
    assert [Frame(raw[0], raw) for raw in raws] == found
    assert [body for _, body in messages] == [one.body for one in found]
    assert reader.pending == 0


def test_a_frame_that_is_not_whole_is_held() -> None:
    reader = FrameReader(lambda _: 100)
    assert reader.feed(frame(b"S") + b"Q\0\0\0\x09ab") == [Frame(0x53, frame(b"S"))]
    assert reader.pending == 7
    assert reader.feed(b"c") == []
    assert reader.feed(b"de") == [Frame(0x51, b"Q\0\0\0\x09abcde")]
    assert reader.pending == 0


def test_the_limit_is_the_types_own_and_counts_the_whole_frame() -> None:
    limits = {0x51: 100, 0x53: 5}
    assert len(FrameReader(limits.__getitem__).feed(frame(b"Q", b"x" * 95) + frame(b"S"))) == 2
    for raw in (frame(b"Q", b"x" * 96), frame(b"S", b"x")):
        with pytest.raises(RemoteProtocolError):
            FrameReader(limits.__getitem__).feed(raw)


def test_a_frame_over_its_limit_is_refused_by_its_header_alone() -> None:
    with pytest.raises(RemoteProtocolError, match="'Q' with length 2147483647"):
        FrameReader(lambda _: 10_000).feed(b"Q\x7f\xff\xff\xff")


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\0\0\0\x03", b"\xff\xff\xff\xff", b"\x80\0\0\0"])
@pytest.mark.parametrize("kind", [b"Q", b"D", b"d", b"Z"])
def test_a_length_that_cannot_be_is_refused(kind: bytes, length: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        FrameReader(lambda _: 10_000).feed(kind + length)
    if kind in b"Dd" and length > b"\0\0\0\x03":
        return  # a row may be longer than what is held: it is let through as it comes
    with pytest.raises(RemoteProtocolError):
        StreamReader(limit=10_000).feed(kind + length)


def test_data_is_given_as_it_comes_and_never_held() -> None:
    reader = FrameReader(lambda _: 100, data=b"d")
    one, two = frame(b"d", b"x" * 200), frame(b"d", b"y" * 10)
    assert reader.feed(one + two[:8]) == [Frame(0x64, one + two[:8])]
    assert reader.inside_data
    assert reader.feed(two[8:10]) == [Frame(CONTINUED, two[8:10])]
    assert reader.feed(two[10:] + frame(b"c")) == [Frame(CONTINUED, two[10:]), Frame(0x63, frame(b"c"))]
    assert (reader.inside_data, reader.pending) == (False, 0)
    for length in (3, 1 << 30):
        with pytest.raises(RemoteProtocolError):
            FrameReader(lambda _: 100, data=b"d").feed(b"d" + struct.pack("!I", length))


def test_of_a_message_that_may_be_cut_the_beginning_is_returned_when_its_end_has_come() -> None:
    reader = FrameReader(lambda _: 1100, data=b"d", cut=b"Q")
    large = frame(b"Q", b"x" * 2000)
    assert reader.feed(large[:1000]) == []
    assert reader.feed(large[1000:1500]) == []
    assert reader.feed(large[1500:1600]) == []
    assert reader.pending == 0
    cut = Frame(0x51, large[:1029], 2005 - 1029)
    assert reader.feed(large[1600:] + frame(b"S")) == [cut, Frame(0x53, frame(b"S"))]
    assert reader.feed(large + large + frame(b"S")) == [cut, cut, Frame(0x53, frame(b"S"))]
    for raw in (b"P" + struct.pack("!I", 1100), b"Q" + struct.pack("!I", 1 << 30)):
        with pytest.raises(RemoteProtocolError):
            reader.feed(raw)


# --- from the server ---


def test_rows_flow_and_control_messages_are_marked() -> None:
    head, row, tail = frame(b"T", b"\0\0"), frame(b"D", b"1234"), frame(b"C", b"SELECT 2\0")
    chunk, controls = StreamReader(limit=100).feed(head + row + row + tail)
    assert chunk == head + row + row + tail
    assert controls == [(0x54, 0, 7, 0, 0), (0x43, 25, 39, 2, 18)]


def test_a_row_in_part_goes_on_at_once_and_a_control_message_in_part_waits() -> None:
    reader = StreamReader(limit=100)
    row, done = frame(b"D", b"x" * 20), frame(b"C", b"SELECT 1\0")
    assert reader.feed(row[:10]) == (row[:10], [(0, 10, 10, 1, 10)])
    chunk, controls = reader.feed(row[10:] + done[:8])
    assert (chunk, controls) == (row[10:], [(0, 15, 15, 0, 15)])
    assert reader.feed(done[8:]) == (done, [(0x43, 0, 14, 0, 0)])


def test_a_control_message_over_the_limit_is_refused_and_a_row_is_not() -> None:
    with pytest.raises(RemoteProtocolError):
        StreamReader(limit=100).feed(b"E" + struct.pack("!I", 101))
    assert StreamReader(limit=100).feed(b"D" + struct.pack("!I", 101))[0] == b"D\0\0\0\x65"


def test_a_type_of_zero_is_refused_and_taken_neither_for_data_nor_for_the_end_of_a_chunk() -> None:
    for reader in (StreamReader(limit=100), FrameReader(lambda _: 100), FrameReader(lambda _: 100, data=b"d")):
        with pytest.raises(RemoteProtocolError, match=r"'\\x00' with length 4"):
            reader.feed(frame(b"d") + frame(b"\0"))


stream = st.lists(st.tuples(st.sampled_from([b"D", b"d", b"T", b"C", b"Z", b"E"]), bodies), max_size=10)


def drive(pieces: list[bytes]) -> tuple[bytes, list[tuple[int, bytes, int, int]], tuple[int, int]]:
    """What went on, the control messages with the rows and bytes before each, and those after the last."""
    reader = StreamReader(limit=100)
    sent, found, rows, size = b"", list[tuple[int, bytes, int, int]](), 0, 0
    for piece in pieces:
        chunk, controls = reader.feed(piece)
        sent += chunk
        for kind, start, end, rows_before, size_before in controls:
            rows += rows_before
            size += size_before
            if kind:
                found.append((kind, chunk[start:end], rows, size))
                rows = size = 0
    return sent, found, (rows, size)


@given(stream, cuts)
def test_any_split_forwards_the_same_bytes_and_counts_the_same(
    messages: list[tuple[bytes, bytes]], at: list[int]
) -> None:
    data = b"".join(frame(kind, body) for kind, body in messages)
    expected: list[tuple[int, bytes, int, int]] = []
    rows = size = 0
    for kind, body in messages:
        raw = frame(kind, body)
        if kind in (b"D", b"d"):
            rows, size = rows + 1, size + len(raw)
        else:
            expected.append((kind[0], raw, rows, size))
            rows = size = 0
    assert (data, expected, (rows, size)) == drive(pieces_of(data, at))
