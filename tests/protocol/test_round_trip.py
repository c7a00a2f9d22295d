"""Properties of all messages at once: there and back, any split, and bytes that were changed on their way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.errors import LocalProtocolError
from pgwire.messages import extended, startup
from pgwire.messages.extended import Bind, Execute, Parse, encode_bind, encode_execute, encode_parse
from pgwire.reader import message
from tests.fuzz import targets
from tests.protocol.samples import SAMPLES, STREAM, Sample
from tests.protocol.values import STRATEGIES

each_sample = st.sampled_from(SAMPLES)


@st.composite
def _written(draw: st.DrawFn) -> tuple[Sample, Any]:
    """Any message: what it is, and any value of it."""
    sample = draw(each_sample)
    return sample, draw(STRATEGIES[sample.decode])


@st.composite
def _streams(draw: st.DrawFn) -> bytes:
    written = draw(st.lists(_written(), max_size=6))
    return b"".join([sample.encode(value) for sample, value in written if sample.typed])


def test_every_message_has_a_strategy() -> None:
    assert {sample.decode for sample in SAMPLES} == set(STRATEGIES)


@given(_written())
def test_any_value_is_read_as_it_was_written(written: tuple[Sample, Any]) -> None:
    sample, value = written
    raw = sample.encode(value)
    header = 5 if sample.typed else 4
    assert int.from_bytes(raw[header - 4 : header], "big") == len(raw) - header + 4
    assert sample.decode(raw[header:]) == value


@given(_written(), st.data())
def test_a_message_cut_or_lengthened_or_changed_is_refused_or_is_another_message(
    written: tuple[Sample, Any], data: st.DataObject
) -> None:
    sample, value = written
    body = sample.encode(value)[5 if sample.typed else 4 :]
    at = data.draw(st.integers(0, len(body)))
    targets.decoded(sample, body[:at])
    targets.decoded(sample, body + data.draw(st.binary(max_size=9)))
    targets.decoded(sample, body[:at] + data.draw(st.binary(max_size=4)) + body[at + 1 :])


@given(STRATEGIES[extended.decode_bind], st.data())
def test_a_bind_is_read_the_quick_way_only_as_the_reader_reads_it(bind: Bind, data: st.DataObject) -> None:
    body = encode_bind(bind)[5:]
    at = data.draw(st.integers(0, len(body)))
    changed = body[:at] + data.draw(st.lists(st.sampled_from((0, 1, 2, 127, 128, 255)), max_size=3).map(bytes))
    for each in (body, body[:at], changed, changed + body[at + 1 :]):
        quick = extended._usual_bind(each)
        assert quick is None or quick == extended._any_bind(each)
    if len(bind.formats) < 2 and len(bind.results) < 2 and {*bind.formats, *bind.results} <= {0, 1}:
        assert extended._usual_bind(body) == bind


@given(each_sample, st.binary(max_size=80))
def test_garbage_is_refused_or_is_a_message(sample: Sample, garbage: bytes) -> None:
    targets.decoded(sample, garbage)


# --- streams: the plain reading in `targets` is what both readers are held against ---


def _holds(data: bytes) -> None:
    targets.frames(data)
    targets.frames(data, flowing=b"d")
    targets.frames(data, flowing=b"d", cut=b"QPBF")
    targets.stream(data)


@given(_streams() | st.just(STREAM), st.binary(min_size=2, max_size=2))
def test_any_split_of_any_stream_reads_the_same(stream: bytes, cuts: bytes) -> None:
    _holds(cuts + stream)


@given(_streams(), st.binary(min_size=2, max_size=2), st.integers(0, 10_000), st.integers(0, 255))
def test_a_stream_with_one_byte_changed_reads_the_same_whatever_the_split(
    stream: bytes, cuts: bytes, at: int, byte: int
) -> None:
    changed = bytearray(stream or b"\0")
    changed[at % len(changed)] = byte
    _holds(cuts + changed)


@given(_written(), _streams(), st.integers(0, 2**32 - 1) | st.integers(0, 40), st.binary(min_size=2, max_size=2))
def test_a_stream_with_one_length_changed_reads_the_same_whatever_the_split(
    written: tuple[Sample, Any], behind: bytes, length: int, cuts: bytes
) -> None:
    raw = written[0].encode(written[1])
    changed = cuts + raw[:1] + length.to_bytes(4, "big") + raw[5:] + behind
    _holds(changed)


@given(st.binary(max_size=80))
def test_garbage_in_a_stream_reads_the_same_whatever_the_split(garbage: bytes) -> None:
    _holds(garbage)


@given(st.integers(1000, 1400), _streams(), st.binary(min_size=2, max_size=2), st.integers(1, 1100))
def test_a_message_over_its_limit_is_cut_where_it_ends_whatever_the_split(
    size: int, behind: bytes, cuts: bytes, last: int
) -> None:
    large = message(b"Q", bytes(size))
    _holds(cuts + large + behind)
    _holds(cuts + behind + large + large[:last])


# --- what cannot be written is a fault of our own ---


@pytest.mark.parametrize("text", ["a\0", "\0"])
def test_a_zero_byte_inside_a_string_is_not_written(text: str) -> None:
    for parameters in ({text: "x"}, {"x": text}):
        with pytest.raises(LocalProtocolError):
            startup.encode_startup(parameters)
    with pytest.raises(LocalProtocolError):
        encode_parse(Parse(b"", text.encode(), ()))


def test_numbers_that_do_not_fit_are_not_written() -> None:
    for parse in (Parse(b"", b"", (2**32,)), Parse(b"", b"", (-1,)), Parse(b"", b"", (0,) * 65_536)):
        with pytest.raises(LocalProtocolError):
            encode_parse(parse)
    for bind in (
        Bind(b"", b"", (2,), (), ()),
        Bind(b"", b"", (), (None,) * 65_536, ()),
        Bind(b"", b"", (), (), (-1,)),
    ):
        with pytest.raises(LocalProtocolError):
            encode_bind(bind)
    with pytest.raises(LocalProtocolError):
        encode_execute(Execute(b"", 2**31))
