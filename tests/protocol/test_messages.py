"""Every message against its bytes: whole, cut short, with bytes too many; and what cannot be one."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tracemalloc
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import pytest

from pgwire import messages
from pgwire.errors import LocalProtocolError, RemoteProtocolError, WireError
from pgwire.framing import Frame, FrameReader
from pgwire.messages.authentication import (
    AuthenticationRequest,
    decode_authentication,
    decode_backend_key_data,
    decode_sasl_initial,
)
from pgwire.messages.copy import CopyResponse, decode_copy_fail, decode_copy_response, encode_copy_response
from pgwire.messages.extended import decode_bind, decode_parse, decode_target
from pgwire.messages.function_call import decode_function_call, decode_function_call_response
from pgwire.messages.query import (
    decode_error,
    decode_query,
    decode_ready,
    encode_query,
    error_response,
    parameter_status,
)
from pgwire.messages.results import decode_data_row, decode_parameter_description, decode_row_description
from pgwire.messages.startup import decode_negotiate_version
from tests.protocol.samples import SAMPLES, Sample
from tests.run.rows import table

each_sample = table("sample", SAMPLES, ids=lambda sample: sample.name)


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


@table("sample", [s for s in SAMPLES if s.typed], ids=lambda sample: sample.name)
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


@table("sample", [s for s in SAMPLES if s.least is None], ids=lambda sample: sample.name)
@table("more", [b"\0", b"x", b"x\0", b"\0\0\0\0"])
def test_a_message_with_bytes_too_many_is_refused(sample: Sample, more: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        sample.decode(sample.body + more)


@table(
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
        (decode_error, b""),
        (decode_authentication, b"\0\0\0\0more"),  # Ok with something in it
        (decode_authentication, b"\0\0\0\x05sal"),
        (decode_authentication, b"\0\0\0\x05salts"),
        (decode_authentication, b"\0\0\0\x0a\0"),  # no mechanism is offered
        (decode_authentication, b"\0\0\0\x0aS\xc4\0\0"),
        (decode_authentication, b"\0\0\0\x0aS\0\0more"),
        (decode_sasl_initial, b"\0\0\0\0\0"),  # no mechanism is chosen
        (decode_sasl_initial, b"S\xc4\0\0\0\0\0"),
        (decode_sasl_initial, b"S\0\xff\xff\xff\xfe"),  # a response of length -2
        (decode_sasl_initial, b"S\0\0\0\0\x02a"),
        (decode_copy_response, b"\x02\0\0"),  # format 2
        (decode_copy_response, b"\0\0\x01\0\x01"),  # a binary column in text
        (decode_copy_response, b"\x01\0\x01\0\x02"),
        (decode_copy_response, b"\x01\xff\xff\0\0"),
        (decode_copy_fail, b"why"),
        (decode_copy_fail, b"why\0not\0"),
        (decode_row_description, b"\0\x01id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x02"),
        (decode_row_description, b"\0\x01" + b"i" * 30),  # a name that does not end
        (decode_data_row, b"\0\x01\xff\xff\xff\xfe"),
        (decode_function_call, b"\0\0\0\x01\0\x02\0\0\0\0\0\0\0\0"),  # two formats for no argument
        (decode_function_call, b"\0\0\0\x01\0\0\0\0\0\x02"),  # result format 2
        (decode_function_call_response, b"\xff\xff\xff\xfe"),
        (decode_negotiate_version, b"\0\x03\0\0\0\0\0\x01user\0"),  # no protocol option
        (decode_negotiate_version, b"\0\x03\0\0\0\0\0\x01_pq_.\xc4\0"),
        (decode_negotiate_version, b"\0\x03\0\0\xff\xff\xff\xff"),
    ],
)
def test_contents_that_cannot_be_are_refused(decode: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(body)


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_parse, b"\0\0\xff\xff"),
        (decode_bind, b"\0\0\xff\xff"),
        (decode_bind, b"\0\0\0\0\xff\xff"),
        (decode_bind, b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        (decode_bind, b"\0\0\0\0\0\0\xff\xff"),
        (decode_sasl_initial, b"S\0\x7f\xff\xff\xff"),
        (decode_copy_response, b"\x01\xff\xff"),
        (decode_row_description, b"\xff\xff"),
        (decode_parameter_description, b"\xff\xff"),
        (decode_data_row, b"\xff\xff"),
        (decode_data_row, b"\0\x01\x7f\xff\xff\xff"),
        (decode_function_call, b"\0\0\0\x01\xff\xff"),
        (decode_function_call_response, b"\x7f\xff\xff\xff"),
        (decode_negotiate_version, b"\0\x03\0\0\xff\xff\xff\xff"),
    ],
)
def test_a_count_of_what_is_not_there_costs_no_memory(decode: Callable[[bytes], Any], body: bytes) -> None:
    tracemalloc.start()
    try:
        for behind in (b"", b"\0", b"\0\0\0\1"):
            with pytest.raises(RemoteProtocolError):
                decode(body + behind)
        assert tracemalloc.get_traced_memory()[1] < 16_384
    finally:
        tracemalloc.stop()


def test_a_format_that_does_not_go_with_the_others_is_not_written() -> None:
    for response in (CopyResponse(0, (1,)), CopyResponse(2, ()), CopyResponse(1, (2,))):
        with pytest.raises(LocalProtocolError):
            encode_copy_response(b"G", response)


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


def test_both_faults_are_one_kind_and_differ() -> None:
    assert issubclass(RemoteProtocolError, WireError)
    assert issubclass(LocalProtocolError, WireError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
