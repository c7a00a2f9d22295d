"""A transport that is left open does not hang the loop that is closed: it is a warning, which is an error."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.run.loops import new_uvloop

pytestmark = [pytest.mark.live, pytest.mark.timeout(30)]


def test_a_connection_that_is_left_open_is_reported_when_the_loop_is_closed() -> None:
    ours, theirs = socket.socketpair()
    loop = new_uvloop()
    with theirs:
        kept = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
        with pytest.raises(ResourceWarning, match="unclosed resource"):
            loop.close()
        assert loop.is_closed()
        assert theirs.recv(1) == b""
    assert kept


def test_a_loop_with_nothing_open_closes_without_a_warning() -> None:
    loop = new_uvloop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert loop.is_closed()
