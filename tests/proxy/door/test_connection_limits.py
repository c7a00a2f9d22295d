"""Connections that are accepted, accepted to send an error, or closed: as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.proxy.door.connection_limits import Admission, ClientAddress, ConnectionLimits


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_address_counts_by_its_network(host: str, network: str) -> None:
    assert ClientAddress.of(host, 51000) == ClientAddress(f"{host}:51000", network)


def kinds(limits: ConnectionLimits, client: ClientAddress, count: int) -> list[str]:
    return [_kind(limits.enter(client)) for _ in range(count)]


def _kind(admission: Admission) -> str:
    if not admission.accepted:
        assert admission.refusal is not None
        return "away"
    return "in" if admission.refusal is None else admission.refusal.reference


def test_an_address_above_its_limit_gets_a_few_errors_and_then_is_closed() -> None:
    limits = ConnectionLimits(500, 3)
    one, other = ClientAddress.of("10.0.0.7", 1), ClientAddress.of("10.0.0.8", 1)
    assert kinds(limits, one, 13) == ["in"] * 3 + ["too-many-connections-of-address"] * 8 + ["away"] * 2
    assert kinds(limits, other, 3) == ["in"] * 3
    assert len(limits) == 14


def test_above_the_total_limit_there_are_a_few_errors_and_then_connections_are_closed() -> None:
    limits = ConnectionLimits(10, 100)
    assert (
        kinds(limits, ClientAddress.of("10.0.0.7", 1), 44)
        == ["in"] * 10 + ["too-many-connections"] * 32 + ["away"] * 2
    )


def test_one_network_of_ipv6_is_one_address() -> None:
    limits = ConnectionLimits(500, 1)
    assert kinds(limits, ClientAddress.of("2001:db8::1", 1), 1) == ["in"]
    assert kinds(limits, ClientAddress.of("2001:db8::ffff:1", 1), 1) == ["too-many-connections-of-address"]
    assert kinds(limits, ClientAddress.of("2001:db8:0:1::1", 1), 1) == ["in"]


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=200))
def test_in_any_order_the_count_is_of_those_inside(moves: list[tuple[int, bool]]) -> None:
    limits, inside = ConnectionLimits(6, 2), []
    for last, comes in moves:
        client = ClientAddress.of(f"10.0.0.{last}", 1)
        if comes and limits.enter(client).accepted:
            inside.append(client)
        elif not comes and client in inside:
            inside.remove(client)
            limits.leave(client)
        assert len(limits) == len(inside) <= 6 + 32
        assert all(inside.count(each) <= 2 + 8 for each in inside)
    for client in inside:
        limits.leave(client)
    assert len(limits) == 0
    assert limits.enter(ClientAddress.of("10.0.0.1", 1)) == Admission(accepted=True)
