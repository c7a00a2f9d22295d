"""The secrets of cancel keys: which node made one, and that nobody else can make one."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pgjit.grants.fleet_key import FleetKey
from pgjit.proxy.cancel_key import CancelKeySecret, digest_of, fleet_secret, node_id, node_of, random_secret

NOW = datetime(2026, 11, 29, tzinfo=UTC)
KEY, OTHER = FleetKey(1, NOW, b"k" * 32), FleetKey(2, NOW, b"o" * 32)
NODE = node_id("one")


def test_a_secret_has_the_length_that_its_protocol_version_has() -> None:
    assert (len(random_secret(0)), len(random_secret(2))) == (4, 32)
    assert len(fleet_secret(KEY, NODE, 0, 7)) == 32
    assert fleet_secret(KEY, NODE, 0, 7) != fleet_secret(KEY, NODE, 0, 7)


def test_any_node_finds_out_which_one_made_a_secret() -> None:
    for pid in (7, -(2**31), 2**31 - 1):
        made = fleet_secret(KEY, NODE, 3, pid)
        assert node_of([OTHER, KEY], pid, made) == CancelKeySecret(NODE, 3)
        assert node_of([OTHER], pid, made) is None
        assert node_of([], pid, made) is None
        assert node_of([KEY], pid ^ 1, made) is None


@given(st.integers(0, 31), st.integers(1, 255))
def test_a_secret_with_another_byte_was_made_by_no_node(at: int, change: int) -> None:
    bent = bytearray(fleet_secret(KEY, NODE, 3, 7))
    bent[at] ^= change
    assert node_of([KEY, OTHER], 7, bytes(bent)) is None


@given(st.binary(max_size=300))
def test_no_other_bytes_are_a_secret(secret: bytes) -> None:
    assert node_of([KEY], 7, secret) is None


def test_what_nodes_send_of_a_key_differs_by_key_pid_and_secret() -> None:
    digests = {digest_of(key, pid, secret) for key in (KEY, OTHER) for pid in (7, 8) for secret in (b"abcd", b"abce")}
    assert len(digests) == 8
    assert "kkk" not in repr(KEY)
