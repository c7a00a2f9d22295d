"""Headers of the PROXY protocol: what they say, where they end, and what is none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.errors import RemoteProtocolError
from pgwire.proxy_header import (
    MAX_PROXY_HEADER,
    Endpoint,
    ProxyHeader,
    ProxyHeaderReader,
    begins_proxy_header,
    crc32c,
)
from tests.fakes.proxy_headers import LOCAL, SIGNATURE, v1, v2, v2_raw
from tests.run.rows import table

BEHIND = b"\x16\x03\x01"
CLIENT, PROXY = Endpoint("192.0.2.10", 51234), Endpoint("198.51.100.7", 6432)
LONGEST = Endpoint("ffff:" * 7 + "ffff", 65535)
FOUR = bytes.fromhex("c000020a c6336407 c822 1920")
SIX = bytes(15) + b"\1" + bytes(15) + b"\2" + FOUR[8:]


def read(data: bytes, step: int = 0) -> tuple[ProxyHeader | None, int]:
    """The header, and how many bytes it took. `step`: the bytes arrive in pieces of this size."""
    reader, taken, arrived = ProxyHeaderReader(), 0, 0
    while reader.header is None and arrived < len(data):
        arrived = len(data) if step == 0 else min(arrived + step, len(data))
        taken += reader.feed(data[taken:arrived])
    return reader.header, taken


# From the specification and from what HAProxy, AWS and Azure send.
GOOD = {
    "version 1": (b"PROXY TCP4 192.0.2.10 198.51.100.7 51234 6432\r\n", ProxyHeader(CLIENT, PROXY)),
    "version 1, IPv6": (
        b"PROXY TCP6 2001:DB8::a 2001:db8::7 0 65535\r\n",
        ProxyHeader(Endpoint("2001:db8::a", 0), Endpoint("2001:db8::7", 65535)),
    ),
    "version 1, the longest": (
        b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        ProxyHeader(LONGEST, LONGEST),
    ),
    "version 1, mapped": (
        b"PROXY TCP6 ::ffff:192.0.2.10 ::ffff:c633:6407 51234 6432\r\n",
        ProxyHeader(CLIENT, PROXY),
    ),
    "version 1, not known": (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    "version 1, not known, with more": (b"PROXY UNKNOWN" + b" f" * 46 + b"\r\n", ProxyHeader()),
    "version 2": (bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c") + FOUR, ProxyHeader(CLIENT, PROXY)),
    "Azure's link id and a checksum": (
        SIGNATURE + bytes.fromhex("21 11 001b") + FOUR + bytes.fromhex("ee0005 01 34120020 030004 772b0a1e"),
        ProxyHeader(CLIENT, PROXY, link_id=0x20001234),
    ),
    "LOCAL": (bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000"), ProxyHeader(local=True)),
    "LOCAL with a family and more": (v2_raw(0x20, 0x99, b"\xff" * 40), ProxyHeader(local=True)),
    "of no family": (v2_raw(0x21, 0x00, b"\xff" * 5), ProxyHeader()),
    "a Unix socket": (v2_raw(0x21, 0x31, bytes(216)), ProxyHeader()),
    "version 2, IPv6": (v2_raw(0x21, 0x21, SIX), ProxyHeader(Endpoint("::1", 51234), Endpoint("::2", 6432))),
    "version 2, mapped": (v2("::ffff:192.0.2.10", "::ffff:198.51.100.7"), ProxyHeader(CLIENT, PROXY)),
    "a unique id, an endpoint of AWS, and values that are not read": (
        v2(CLIENT.host, PROXY.host, values=[
            (0x02, b"db.example"), (0x04, bytes(9)), (0x04, b""), (0x05, b"\0id"), (0xEA, b"\1vpce-08d2bf15fac5"),
            (0x20, b"\1\0\0\0\0" + b"\x21\0\7TLSv1.3\x22\0\2cn"), (0xE0, b"x"), (0xE0, b"y"),
        ], checksum=True),
        ProxyHeader(CLIENT, PROXY, unique_id=b"\0id", vpc_endpoint="vpce-08d2bf15fac5"),
    ),
    "subtypes that are not known": (v2(CLIENT.host, PROXY.host, values=[(0xEA, b"\2x"), (0xEE, b"")]),
                                    ProxyHeader(CLIENT, PROXY)),
    "the longest": (v2_raw(0x21, 0x11, FOUR + b"\x04\x0f\xe1" + bytes(4065)), ProxyHeader(CLIENT, PROXY)),
}  # fmt: skip


@table(("sent", "header"), GOOD.values(), list(GOOD))
def test_a_header_says_whose_connection_it_is_and_ends_before_the_clients_bytes(
    sent: bytes, header: ProxyHeader
) -> None:
    for step in (0, 1, 7):
        assert read(sent + BEHIND, step) == (header, len(sent))
    assert begins_proxy_header(sent)
    assert all(read(sent[:end])[0] is None for end in (*range(min(len(sent), 110)), len(sent) - 1))


def of_values(*values: tuple[int, bytes]) -> bytes:
    return v2(CLIENT.host, PROXY.host, values=values)


def line(text: str) -> bytes:
    return f"PROXY {text}\r\n".encode()


ADDRESSES = "192.0.2.10 198.51.100.7"
BAD = {
    "TLS": BEHIND,
    "a startup message": struct.pack("!II", 8, 80877103),
    "lower case": b"proxy TCP4 ",
    "almost the signature": SIGNATURE[:11] + b"\r",
    "almost version 1": b"PROXYTCP4 1.2.3.4",
    "a line without end": b"PROXY UNKNOWN" + b" f" * 60,
    "a line of 108 bytes": b"PROXY UNKNOWN" + b" f" * 46 + b"f\r\n",
    "LF alone": b"PROXY UNKNOWN\n",
    "LF alone, and CR later": f"PROXY TCP4 {ADDRESSES} 1 2\n\r\n".encode(),
    "CR in the line": f"PROXY TCP4 {ADDRESSES} 1 2\r \r\n".encode(),
    "another word": line("UNKNOWNS"),
    "UDP": line(f"UDP4 {ADDRESSES} 1 2"),
    "two blanks": line(f"TCP4  {ADDRESSES} 1 2"),
    "a blank at the end": line(f"TCP4 {ADDRESSES} 1 2 "),
    "a tab": line(f"TCP4\t{ADDRESSES} 1 2"),
    "no ports": line(f"TCP4 {ADDRESSES}"),
    "an empty port": line(f"TCP4 {ADDRESSES}  2"),
    "a leading zero": line(f"TCP4 {ADDRESSES} 01 2"),
    "two zeros": line(f"TCP4 {ADDRESSES} 00 2"),
    "a sign": line(f"TCP4 {ADDRESSES} +1 2"),
    "an underscore": line(f"TCP4 {ADDRESSES} 1_0 2"),
    "digits of another script": line(f"TCP4 {ADDRESSES} \u0661 2"),
    "a port above 65535": line(f"TCP4 {ADDRESSES} 65536 2"),
    "a long port": line(f"TCP4 {ADDRESSES} 100000 2"),
    "IPv6 as TCP4": line("TCP4 ::1 ::2 1 2"),
    "IPv4 as TCP6": line(f"TCP6 {ADDRESSES} 1 2"),
    "an octet with a leading zero": line("TCP4 192.0.2.010 198.51.100.7 1 2"),
    "three octets": line("TCP4 192.0.2 198.51.100.7 1 2"),
    "a zone": line("TCP6 fe80::1%eth0 ::2 1 2"),
    "a name": line("TCP4 localhost 198.51.100.7 1 2"),
    "version 3": SIGNATURE + b"\x31\x11\0\x0c",
    "a command that is not known": SIGNATURE + b"\x22\x11\0\x0c",
    "UDP in version 2": v2_raw(0x21, 0x12, FOUR),
    "TCP over no family": v2_raw(0x21, 0x01, FOUR),
    "half of the addresses": v2_raw(0x21, 0x11, FOUR[:11]),
    "half of the addresses, IPv6": v2_raw(0x21, 0x21, SIX[:35]),
    "half of a Unix address": v2_raw(0x21, 0x31, bytes(215)),
    "longer than any": SIGNATURE + b"\x21\x11" + struct.pack("!H", MAX_PROXY_HEADER - 15),
    "longer than any, LOCAL": SIGNATURE + b"\x20\0\xff\xff",
    "half of a value's header": v2_raw(0x21, 0x11, FOUR + b"\x04\0"),
    "a value that is longer than the header": v2_raw(0x21, 0x11, FOUR + b"\x04\0\x02x"),
    "a wrong checksum": v2(CLIENT.host, PROXY.host, checksum=True)[:-1] + b"\0",
    "a checksum over other ports": (good := v2(CLIENT.host, PROXY.host, checksum=True))[:25] + b"\7" + good[26:],
    "a checksum of three bytes": of_values((0x03, b"\0\0\0")),
    "two checksums": of_values((0x03, bytes(4)), (0x03, bytes(4))),
    "two unique ids": of_values((0x05, b"a"), (0x05, b"b")),
    "a long unique id": of_values((0x05, bytes(129))),
    "a short TLS value": of_values((0x20, bytes(4))),
    "a value in a value that is longer than it": of_values((0x20, bytes(5) + b"\x22\0\x02x")),
    "a short link id": of_values((0xEE, b"\1\0\0\0")),
    "a long link id": of_values((0xEE, b"\1" + bytes(5))),
    "an endpoint of AWS with a line in it": of_values((0xEA, b"\1vpce\n")),
    "an empty endpoint of AWS": of_values((0xEA, b"\1")),
    "an endpoint of AWS in another script": of_values((0xEA, "\1vpce-\u0661".encode())),
}


@table("sent", BAD.values(), list(BAD))
def test_what_is_no_header_is_refused_as_soon_as_that_is_known(sent: bytes) -> None:
    for step in (0, 1):
        with pytest.raises(RemoteProtocolError):
            read(sent, step)


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_a_header_is_no_startup_message() -> None:
    assert not begins_proxy_header(b"PRO")
    assert not begins_proxy_header(b"\0\0\0\x08\x04\xd2\x16\x2f")
    assert begins_proxy_header(LOCAL[:4])


hosts = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)
ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535))
unread = st.lists(
    st.tuples(st.sampled_from([0x01, 0x02, 0x04, 0x30, 0xE0, 0xF0]), st.binary(max_size=20)), max_size=4
)


@given(hosts, ports, unread, st.booleans(), st.binary(max_size=8), st.integers(0, 50))
def test_what_a_balancer_writes_is_read_in_any_pieces(
    hosts: tuple[object, object],
    ports: tuple[int, int],
    values: list[tuple[int, bytes]],
    checksum: bool,
    behind: bytes,
    step: int,
) -> None:
    source, destination = (str(each) for each in hosts)
    for sent in (v1(source, destination, ports), v2(source, destination, ports, values, checksum=checksum)):
        header, taken = read(sent + behind, step)
        assert taken == len(sent)
        assert header is not None
        assert header.source is not None
        assert header.source.port == ports[0]
        mapped = getattr(hosts[0], "ipv4_mapped", None)
        assert header.source.host == source if mapped is None else str(mapped)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: SIGNATURE + b"\x21\x11\0" + rest),
                 st.binary(max_size=110).map(lambda rest: b"PROXY " + rest)), st.integers(0, 20))  # fmt: skip
def test_any_bytes_are_a_header_or_refused_and_pieces_change_nothing(data: bytes, step: int) -> None:
    def outcome(step: int) -> tuple[ProxyHeader | None, int] | str:
        try:
            return read(data, step)
        except RemoteProtocolError as error:
            return str(error)

    whole, pieces = outcome(0), outcome(step)
    assert isinstance(whole, str) == isinstance(pieces, str)
    if not isinstance(whole, str):
        assert whole == pieces


@given(st.sampled_from([*range(16, 28), *range(39, 43)]), st.integers(1, 255))
def test_no_changed_address_gets_past_the_checksum(at: int, change: int) -> None:
    bent = bytearray(GOOD["Azure's link id and a checksum"][0])
    bent[at] ^= change
    with pytest.raises(RemoteProtocolError, match="checksum"):
        read(bytes(bent))
