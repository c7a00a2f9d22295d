"""Every message against its bytes: whole, cut short, with bytes too many, and there and back."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire import messages
from pgwire.errors import LocalProtocolError, RemoteProtocolError, WireError
from pgwire.framing import Frame, FrameReader
from pgwire.messages.authentication import (
    AuthenticationRequest,
    decode_authentication,
    decode_backend_key_data,
    decode_password,
    encode_sasl_initial,
    encode_sasl_response,
)
from pgwire.messages.extended import (
    Bind,
    Execute,
    Parse,
    Target,
    decode_bind,
    decode_execute,
    decode_parse,
    decode_target,
    encode_bind,
    encode_execute,
    encode_parse,
    encode_target,
    sync,
)
from pgwire.messages.query import (
    decode_command_complete,
    decode_error,
    decode_parameter_status,
    decode_query,
    decode_ready,
    encode_query,
    error_response,
    parameter_status,
    terminate,
)
from tests.protocol.samples import SAMPLES, Sample

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)

texts = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b""))
formats = st.sampled_from((0, 1))


@each_sample
def test_a_value_becomes_the_bytes_of_the_documentation(sample: Sample) -> None:
    assert sample.raw == sample.encode(sample.value)


@each_sample
def test_the_bytes_become_the_value(sample: Sample) -> None:
    assert sample.value == sample.decode(sample.body)


def test_every_function_that_reads_or_writes_a_message_is_in_the_table() -> None:
    called = set[CodeType]()
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code) if event == "call" else None)
    try:
        for sample in SAMPLES:
            sample.decode(sample.body)
            sample.encode(sample.value)
    finally:
        sys.setprofile(None)
    missing = [name for name, function in _functions() if function.__code__ not in called]
    assert missing == []


def _functions() -> list[tuple[str, FunctionType]]:
    modules = [
        importlib.import_module(f"pgwire.messages.{one.name}") for one in pkgutil.iter_modules(messages.__path__)
    ]
    offered = [(name, getattr(module, name)) for module in modules for name in module.__all__]
    return [(name, one) for name, one in offered if isinstance(one, FunctionType)]


def test_the_names_of_samples_are_their_own() -> None:
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.typed], ids=lambda sample: sample.name)
def test_a_message_that_arrives_byte_by_byte_is_the_same_message(sample: Sample) -> None:
    reader = FrameReader(lambda _: 1000)
    frames: list[Frame] = []
    for index in range(len(sample.raw)):
        assert frames == []
        frames += reader.feed(sample.raw[index : index + 1])
    assert [Frame(sample.raw[0], sample.raw)] == frames
    assert sample.value == sample.decode(frames[0].body)


@each_sample
def test_a_message_cut_short_is_refused(sample: Sample) -> None:
    least = len(sample.body) if sample.least is None else sample.least
    for size in range(least):
        with pytest.raises(RemoteProtocolError):
            sample.decode(sample.body[:size])
    for size in range(least, len(sample.body)):
        assert sample.encode(sample.decode(sample.body[:size])).endswith(sample.body[:size])


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.least is None], ids=lambda sample: sample.name)
@pytest.mark.parametrize("more", [b"\0", b"x", b"x\0", b"\0\0\0\0"])
def test_a_message_with_bytes_too_many_is_refused(sample: Sample, more: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        sample.decode(sample.body + more)


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_query, b"SELECT\0 1\0"),
        (decode_query, b"SELECT 1"),
        (decode_query, b""),
        (decode_bind, b"\0\0\0\x02\0\0\0\0\0\0\0\0"),  # two formats for no value
        (decode_bind, b"\0\0\0\x01\0\x02\0\0\0\0"),  # format 2
        (decode_bind, b"\0\0\0\0\0\0\0\x01\0\x02"),  # result format 2
        (decode_bind, b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),  # a value of length -2
        (decode_bind, b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),  # a value of 2 GiB that is not there
        (decode_parse, b"\0\0\xff\xff"),  # 65535 types that are not there
        (decode_target, b"Xp1\0"),
        (decode_ready, b"X"),
        (decode_ready, b""),
        (decode_ready, b"II"),
        (decode_backend_key_data, b"\0\0\0\x01abc"),
        (decode_backend_key_data, b"\0\0\0\x01" + b"x" * 257),
        (decode_error, b"SERROR\0"),
    ],
)
def test_contents_that_cannot_be_are_refused(decode: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(body)


def test_messages_without_a_body_are_five_bytes() -> None:
    assert sync() == b"S\0\0\0\x04"
    assert terminate() == b"X\0\0\0\x04"


def test_a_zero_byte_in_an_error_is_left_out_and_in_other_text_refused() -> None:
    assert decode_error(error_response({"M": "a\0b"})[5:]) == {"M": "ab"}
    with pytest.raises(LocalProtocolError):
        encode_query(b"a\0b")
    with pytest.raises(LocalProtocolError):
        parameter_status("a", "b\0")


def test_the_mechanisms_of_a_sasl_request_keep_the_servers_order() -> None:
    request = decode_authentication(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    assert request == AuthenticationRequest(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    assert request.mechanisms == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    with pytest.raises(RemoteProtocolError):
        assert AuthenticationRequest(10, b"SCRAM-SHA-256\0").mechanisms


def test_sasl_responses_carry_their_length_only_the_first_time() -> None:
    assert encode_sasl_initial("S", b"n,,") == b"p\0\0\0\x0dS\0\0\0\0\x03n,,"
    assert encode_sasl_response(b"c=biws") == b"p\0\0\0\x0ac=biws"


@pytest.mark.parametrize(("given", "expected"), [((), 0), ((1,), 1), ((0, 1), 1)])
def test_a_format_is_for_all_values_or_one_for_each(given: tuple[int, ...], expected: int) -> None:
    assert expected == Bind(b"", b"", given, (b"a", b"b"), ()).format_of(1)


@given(texts, texts, st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple))
def test_any_parse_survives_the_wire(name: bytes, text: bytes, types: tuple[int, ...]) -> None:
    parse = Parse(name, text, types)
    assert parse == decode_parse(encode_parse(parse)[5:])


@given(texts, texts, st.lists(st.tuples(formats, st.none() | st.binary(max_size=20)), max_size=5), st.booleans())
def test_any_bind_survives_the_wire(
    portal: bytes, name: bytes, values: list[tuple[int, bytes | None]], each: bool
) -> None:
    given_formats = tuple(code for code, _ in values) if each else (1,)
    bind = Bind(portal, name, given_formats, tuple(value for _, value in values), (0,))
    assert bind == decode_bind(encode_bind(bind)[5:])


@given(texts, st.integers(-(2**31), 2**31 - 1))
def test_any_execute_survives_the_wire(portal: bytes, limit: int) -> None:
    assert Execute(portal, limit) == decode_execute(encode_execute(Execute(portal, limit))[5:])


@given(st.sampled_from("SP"), texts, st.sampled_from([b"D", b"C"]))
def test_any_target_survives_the_wire(kind: str, name: bytes, code: bytes) -> None:
    assert Target(kind, name) == decode_target(encode_target(code, Target(kind, name))[5:])


DECODERS: list[Callable[[bytes], Any]] = [
    decode_query, decode_parse, decode_bind, decode_execute, decode_target, decode_password, decode_authentication,
    decode_backend_key_data, decode_error, decode_command_complete, decode_ready, decode_parameter_status,
]  # fmt: skip


@given(st.sampled_from(DECODERS), st.binary(max_size=60))
def test_garbage_raises_nothing_but_a_fault_of_the_peer(decode: Callable[[bytes], Any], body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode(body)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_sample_with_bytes_changed_raises_nothing_but_a_fault_of_the_peer(
    sample: Sample, data: st.DataObject
) -> None:
    body = bytearray(sample.body)
    if body:
        for index in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
            body[index] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteProtocolError):
        sample.decode(bytes(body))


def test_both_faults_are_one_kind_and_differ() -> None:
    assert issubclass(RemoteProtocolError, WireError)
    assert issubclass(LocalProtocolError, WireError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
