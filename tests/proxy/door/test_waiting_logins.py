"""How many logins may wait for a verdict at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pgjit.errors import TooManyConnections
from pgjit.proxy.door.waiting_logins import WaitingLogins


def test_no_more_than_a_fourth_of_the_connections_wait_in_all_and_from_one_address() -> None:
    waiting = WaitingLogins(connections=12, connections_per_address=8)
    with ExitStack() as places:
        for network in ("a", "a", "b"):
            places.enter_context(waiting.place(network, "r_1"))
        for network, most in (("a", "At most 2 from a"), ("c", "At most 3 wait")):
            with pytest.raises(TooManyConnections, match="too many logins wait for a review") as refused:
                places.enter_context(waiting.place(network, "r_2"))
            assert (refused.value.sqlstate, refused.value.reference) == ("53300", "too-many-waiting-logins")
            assert most in (refused.value.detail or "")
            assert "r_2" in (refused.value.detail or "")
    assert len(waiting) == 0
    with waiting.place("a", "r_1"):
        assert len(waiting) == 1


def test_a_wait_that_fails_gives_its_place_back_and_one_may_always_wait() -> None:
    waiting = WaitingLogins(connections=1, connections_per_address=1)
    for _ in range(2):
        with pytest.raises(TimeoutError), waiting.place("a", "r_1"):
            raise TimeoutError
