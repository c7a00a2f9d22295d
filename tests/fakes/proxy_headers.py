"""PROXY protocol headers as a load balancer writes them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

from pgwire.proxy_header import crc32c

__all__ = ["LOCAL", "SIGNATURE", "v1", "v2", "v2_raw"]

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL = SIGNATURE + bytes.fromhex("20 00 0000")


def v1(source: str, destination: str, ports: tuple[int, int] = (51234, 6432)) -> bytes:
    name = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {name} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def v2(
    source: str,
    destination: str,
    ports: tuple[int, int] = (51234, 6432),
    values: Iterable[tuple[int, bytes]] = (),
    *,
    checksum: bool = False,
) -> bytes:
    hosts = [ipaddress.ip_address(each).packed for each in (source, destination)]
    block = b"".join(hosts) + struct.pack("!HH", *ports)
    rest = b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in values)
    family = 0x11 if len(hosts[0]) == 4 else 0x21
    if not checksum:
        return v2_raw(0x21, family, block + rest)
    header = v2_raw(0x21, family, block + rest + b"\x03\0\x04" + bytes(4))
    return header[:-4] + struct.pack("!I", crc32c(header))


def v2_raw(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block
