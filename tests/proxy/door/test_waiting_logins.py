"""How many logins may wait for a verdict at once."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest

from pgjit.errors import TooManyConnections
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.door.waiting_logins import WaitingLogins


def _anybody() -> HolderKey:
    return HolderKey(IdentityKey("tenant", uuid.uuid4().hex))


def test_no_more_than_a_fourth_of_the_connections_wait_in_all_and_from_one_address() -> None:
    waiting = WaitingLogins(connections=12, connections_per_address=8)
    with ExitStack() as places:
        for network in ("a", "a", "b"):
            places.enter_context(waiting.place(_anybody(), network, "r_1"))
        for network, most in (("a", "At most 2 from a"), ("c", "At most 3 wait")):
            with pytest.raises(TooManyConnections, match="too many logins wait for a review") as refused:
                places.enter_context(waiting.place(_anybody(), network, "r_2"))
            assert (refused.value.sqlstate, refused.value.reference) == ("53300", "too-many-waiting-logins")
            assert most in (refused.value.detail or "")
            assert "r_2" in (refused.value.detail or "")
    assert len(waiting) == 0
    with waiting.place(_anybody(), "a", "r_1"):
        assert len(waiting) == 1


def test_a_wait_that_fails_gives_its_place_back_and_one_may_always_wait() -> None:
    waiting = WaitingLogins(connections=1, connections_per_address=1)
    for _ in range(2):
        with pytest.raises(TimeoutError), waiting.place(_anybody(), "a", "r_1"):
            raise TimeoutError


def test_one_identity_leaves_places_for_others_from_every_address() -> None:
    waiting = WaitingLogins(connections=400, connections_per_address=100)
    agent = HolderKey(IdentityKey("tenant", "agent"))
    with ExitStack() as places:
        for n in range(4):
            places.enter_context(waiting.place(agent, f"address {n}", "r_1"))
        with pytest.raises(TooManyConnections, match="too many logins wait") as refused:
            places.enter_context(waiting.place(agent, "address 5", "r_1"))
        assert "At most 4 of one identity" in (refused.value.detail or "")
        places.enter_context(waiting.place(_anybody(), "address 0", "r_2"))
        assert len(waiting) == 5
    with waiting.place(agent, "address 0", "r_1"):
        assert len(waiting) == 1
