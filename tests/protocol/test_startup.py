"""The first packet: its limits, the requests that come instead of it, and what cannot be one."""

from __future__ import annotations

import struct

import pytest

from pgwire.errors import RemoteProtocolError
from pgwire.messages.startup import (
    MAX_STARTUP,
    CancelRequest,
    EncryptionRequest,
    NegotiateVersion,
    OtherVersion,
    StartupMessage,
    decode_startup,
    encode_cancel,
    encode_ssl_request,
    startup_length,
)

VERSION_3 = b"\0\x03\0\0"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (VERSION_3 + b"user\0ann\0\0", StartupMessage(3, 0, {"user": "ann"})),
        (b"\0\x03\0\x02\0", StartupMessage(3, 2, {})),
        (b"\0\x02\0\0\0", OtherVersion(2, 0, b"\0")),
        (VERSION_3 + b"user\0\0\0", StartupMessage(3, 0, {"user": ""})),
        (b"\x04\xd2\x16\x2f", EncryptionRequest(gss=False)),
        (b"\x04\xd2\x16\x30", EncryptionRequest(gss=True)),
        (b"\x04\xd2\x16\x2e\0\0\x10\x92abcd", CancelRequest(4242, b"abcd")),
        (b"\x04\xd2\x16\x2e\0\0\x10\x92" + b"k" * 256, CancelRequest(4242, b"k" * 256)),
    ],
)
def test_a_first_packet_is_told_by_its_code(
    body: bytes, expected: StartupMessage | OtherVersion | CancelRequest | EncryptionRequest
) -> None:
    assert expected == decode_startup(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\x03\0",
        VERSION_3,
        VERSION_3 + b"user\0ann\0",  # no terminator of the list
        VERSION_3 + b"user\0ann",
        VERSION_3 + b"user\0",
        VERSION_3 + b"user\0ann\0\0\0",  # something after it
        VERSION_3 + b"user\0ann\0user\0eve\0\0",
        VERSION_3 + b"user\0\xff\0\0",
        VERSION_3 + b"\xff\0ann\0\0",
        b"\x04\xd2\x16\x2fx",
        b"\x04\xd2\x16\x30x",
        b"\x04\xd2\x16\x2e\0\0\x10\x92abc",
        b"\x04\xd2\x16\x2e\0\0\x10\x92" + b"k" * 257,
        b"\x04\xd2\x16\x2e\0\0",
    ],
)
def test_what_cannot_be_a_first_packet_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_startup(body)


@pytest.mark.parametrize("length", [4, 8, MAX_STARTUP])
def test_a_length_within_postgresqls_limits_is_accepted(length: int) -> None:
    assert length == startup_length(struct.pack("!I", length + 4))


@pytest.mark.parametrize("word", [0, 1, 4, 7, MAX_STARTUP + 5, 2**31, 2**32 - 1])
def test_a_length_beyond_postgresqls_limits_is_refused(word: int) -> None:
    with pytest.raises(RemoteProtocolError):
        startup_length(struct.pack("!I", word))


def test_protocol_options_are_told_from_parameters() -> None:
    startup = StartupMessage(3, 2, {"user": "ann", "_pq_.a": "1", "_pq_.b": ""})
    assert startup.unknown_options == ("_pq_.a", "_pq_.b")


@pytest.mark.parametrize(
    ("minor", "spoken", "negotiates"), [(0, 0, False), (1, 0, True), (2, 2, False), (3, 2, True), (9999, 2, True)]
)
def test_only_3_0_and_3_2_are_spoken(minor: int, spoken: int, negotiates: bool) -> None:
    startup = StartupMessage(3, minor, {"user": "ann"})
    assert startup.spoken_minor == spoken
    assert startup.negotiation == (NegotiateVersion(3, spoken, ()) if negotiates else None)


@pytest.mark.parametrize(("minor", "spoken"), [(0, 0), (1, 0), (2, 2), (3, 2)])
def test_an_unknown_protocol_option_is_negotiated_under_any_version(minor: int, spoken: int) -> None:
    startup = StartupMessage(3, minor, {"_pq_.a": "1", "user": "ann", "_pq_.b": ""})
    assert startup.negotiation == NegotiateVersion(3, spoken, ("_pq_.a", "_pq_.b"))


def test_the_packet_of_another_major_version_is_not_taken_apart() -> None:
    assert decode_startup(b"\0\x02\0\0" + b"shop" + b"\0" * 60) == OtherVersion(2, 0, b"shop" + b"\0" * 60)
    assert decode_startup(b"\0\x04\0\0") == OtherVersion(4, 0, b"")


def test_requests_of_our_own_are_read_back() -> None:
    assert encode_ssl_request() == b"\0\0\0\x08\x04\xd2\x16\x2f"
    assert decode_startup(encode_cancel(4242, b"secr")[4:]) == CancelRequest(4242, b"secr")
    assert startup_length(encode_cancel(1, b"secr")[:4]) == 12
