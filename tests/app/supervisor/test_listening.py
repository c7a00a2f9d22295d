"""The sockets of the slots."""

from __future__ import annotations

import socket

import pytest

from pgjit.app.supervisor.listening import bound_for_slots, close_all, divided

pytestmark = pytest.mark.live


def test_every_slot_listens_on_the_same_port_which_nobody_else_gets() -> None:
    by_slot = bound_for_slots("127.0.0.1", 0, 3)
    try:
        places = {each.getsockname() for sockets in by_slot for each in sockets}
        assert len(places) == 1
        assert [len(sockets) for sockets in by_slot] == [1, 1, 1]
        [place] = places
        with pytest.raises(OSError, match=f"in use: '127.0.0.1:{place[1]}'"):
            bound_for_slots("127.0.0.1", place[1], 2)
        for _ in range(30):
            socket.create_connection(place).close()
    finally:
        close_all(by_slot)
    again = bound_for_slots("127.0.0.1", place[1], 1)
    close_all(again)


def test_given_sockets_are_divided_among_the_slots() -> None:
    given = [socket.socket() for _ in range(3)]
    try:
        assert divided(given[:1], 2) == [[given[0]], [given[0]]]
        assert divided(given, 2) == [[given[0], given[2]], [given[1]]]
        assert divided(given, 4) == [[given[0]], [given[1]], [given[2]], [given[0]]]
    finally:
        for each in given:
            each.close()
