"""A rate and a burst for each key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgjit.proxy.rate_limit import RateLimit


class Played:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.shares: RateLimit[str] = RateLimit(rate=10, burst=5, steady=lambda: self.now)


def test_some_may_come_at_once_and_then_one_waits_until_it_is_paid_for() -> None:
    played = Played()
    played.shares.use("ann", 50)
    assert played.shares.wait("ann") == 0
    played.shares.use("ann", 20)
    assert played.shares.wait("ann") == 2
    played.now += 1.5
    assert played.shares.wait("ann") == 0.5
    played.now += 0.5
    assert played.shares.wait("ann") == 0


def test_one_does_not_wait_for_another() -> None:
    played = Played()
    played.shares.use("ann", 1_000_000)
    played.shares.use("ben", 10)
    assert played.shares.wait("ben") == 0
    assert played.shares.wait("nobody") == 0


def test_a_key_that_used_nothing_for_long_has_no_more_than_the_burst() -> None:
    played = Played()
    played.shares.use("ann", 10)
    played.now += 1_000_000
    played.shares.use("ann", 60)
    assert played.shares.wait("ann") == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 30)), max_size=50))
def test_a_key_that_waits_uses_no_more_than_the_rate_and_the_burst(steps: list[tuple[float, float]]) -> None:
    played = Played()
    used, most, begun = 0.0, 0.0, played.now
    for amount, pause in steps:
        played.now += max(pause, played.shares.wait("ann"))
        assert used <= 10 * (played.now - begun + 5) + most + 1e-6
        played.shares.use("ann", amount)
        used, most = used + amount, max(most, amount)
