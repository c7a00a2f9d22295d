"""Connections that are accepted, accepted to send an error, or closed: as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.proxy.door.connection_limits import ClientAddress, ConnectionLimits, ConnectionPlace
from pgjit.proxy.siblings import SharedAdmission


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


def _kind(place: ConnectionPlace) -> str:
    if not place.accepted:
        assert place.refusal is not None
        return "away"
    return "in" if place.refusal is None else place.refusal.reference


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


def test_behind_a_balancer_the_total_counts_before_the_address_is_known_and_the_address_after() -> None:
    limits = ConnectionLimits(30, 3)
    client = ClientAddress.of("10.0.0.7", 1)
    unnamed = [limits.enter(None) for _ in range(13)]
    assert [_kind(each) for each in unnamed] == ["in"] * 13
    for each in unnamed:
        each.name(client)
    assert [_kind(each) for each in unnamed] == ["in"] * 3 + ["too-many-connections-of-address"] * 8 + ["away"] * 2
    assert len(limits) == 11, "those that are closed at once count no more"
    others = [limits.enter(None) for _ in range(53)]
    assert [_kind(each) for each in others] == ["in"] * 19 + ["too-many-connections"] * 32 + ["away"] * 2
    for each in (*unnamed, *others):
        each.leave()
        each.leave()
    assert len(limits) == 0
    assert _kind(limits.enter(client)) == "in"


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=200))
def test_in_any_order_the_count_is_of_those_inside(moves: list[tuple[int, bool, bool]]) -> None:
    limits = ConnectionLimits(6, 2)
    inside: list[tuple[int, ConnectionPlace]] = []
    for last, comes, named_later in moves:
        client = ClientAddress.of(f"10.0.0.{last}", 1)
        if comes:
            place = limits.enter(None if named_later else client)
            if named_later:
                place.name(client)
            inside += [(last, place)] if place.accepted else []
        elif mine := [each for each in inside if each[0] == last]:
            inside.remove(mine[0])
            mine[0][1].leave()
        assert len(limits) == len(inside) <= 6 + 32
        assert all([number for number, _ in inside].count(last) <= 2 + 8 for last in range(1, 5))
    for _, place in inside:
        place.leave()
    assert len(limits) == 0
    assert _kind(limits.enter(ClientAddress.of("10.0.0.1", 1))) == "in"


@pytest.mark.parametrize(
    ("admission", "kind"),
    [
        (SharedAdmission(accepted=True), "in"),
        (SharedAdmission(accepted=True, limit="address"), "too-many-connections-of-address"),
        (SharedAdmission(accepted=True, limit="connections"), "too-many-connections"),
        (SharedAdmission(accepted=False, limit="address"), "away"),
        (SharedAdmission(accepted=False), "shut"),
    ],
)
def test_the_limits_of_all_workers_count_as_well_and_each_place_is_given_back_once(
    admission: SharedAdmission, kind: str
) -> None:
    limits, client, left = ConnectionLimits(5, 5), ClientAddress.of("10.0.0.7", 1), list[int]()
    place = limits.enter(client)
    place.count_on_node(client, admission, lambda: left.append(1))
    assert ("shut" if not place.accepted and place.refusal is None else _kind(place)) == kind
    for _ in range(2):
        place.leave()
    assert left == [1] * admission.accepted
    assert len(limits) == 0
