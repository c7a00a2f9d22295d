"""The secrets of cancel keys, as the nodes of a fleet make them, and how a node recognises them. Pure.

Decides what a secret holds. A client of protocol 3.2 gets 32 bytes that name the node of its session and carry a MAC:
any node recognises a key that a node has made, and finds out whose it is. Under 3.0 a secret has four bytes, all of
them random. Neither can be guessed by who has seen others. Does not know sessions: the owner of a session compares
the whole key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pgjit.grants.fleet_key import FleetKey

__all__ = ["SHORT", "CancelKeySecret", "digest_of", "fleet_secret", "node_id", "node_of", "random_secret"]

SHORT = 4
_LONG = 32
_BYTES = {0: SHORT, 2: _LONG}
"""Length of a secret by minor protocol version, as PostgreSQL sends it."""
_VERSION = 1
_NAMED = struct.Struct("!B8sH13s")  # version, node, worker, random bytes
_MAC_BYTES = _LONG - _NAMED.size


@dataclass(frozen=True, slots=True)
class CancelKeySecret:
    """What a secret of a fleet says. It may be an old one: its session may be gone."""

    node: bytes
    worker: int


def node_id(name: str) -> bytes:
    """The eight bytes by which a key names a node."""
    return hashlib.sha256(name.encode()).digest()[:8]


def random_secret(minor: int) -> bytes:
    return secrets.token_bytes(_BYTES[minor])


def fleet_secret(key: FleetKey, node: bytes, worker: int, pid: int) -> bytes:
    """A secret of protocol 3.2 for a session of this node."""
    named = _NAMED.pack(_VERSION, node, worker, secrets.token_bytes(13))
    return named + _mac(key, pid, named)


def node_of(keys: Iterable[FleetKey], pid: int, secret: bytes) -> CancelKeySecret | None:
    """Which node made this secret for a session with this pid. None: no node did, or its key is not kept any more."""
    if len(secret) != _LONG or secret[0] != _VERSION:
        return None
    named, given = secret[: _NAMED.size], secret[_NAMED.size :]
    if not any(hmac.compare_digest(_mac(key, pid, named), given) for key in keys):
        return None
    _, node, worker, _ = _NAMED.unpack(named)
    return CancelKeySecret(node, worker)


def digest_of(key: FleetKey, pid: int, secret: bytes) -> bytes:
    """What nodes send of a cancel key. A plain hash of four bytes could be searched by who reads it on the store."""
    return key.mac(b"cancel key", struct.pack("!i", pid) + secret)


def _mac(key: FleetKey, pid: int, named: bytes) -> bytes:
    return key.mac(b"cancel secret", struct.pack("!i", pid) + named)[:_MAC_BYTES]
