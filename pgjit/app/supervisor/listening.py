"""The listening sockets of the slots: each slot has its own on the same port, and the kernel divides the connections.

Decides that a port which another process uses is refused: SO_REUSEPORT alone would share it in silence.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

__all__ = ["SlotSockets", "bound_for_slots", "close_all", "divided"]

_BACKLOG = 1024

SlotSockets = list[list[socket.socket]]
"""By slot, one socket for each address."""


def bound_for_slots(host: str, port: int, slots: int) -> SlotSockets:
    """Sockets that listen. With port 0 all have the same free one. Raises OSError."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    by_slot: SlotSockets = [[] for _ in range(slots)]
    try:
        for family, _, _, _, address in dict.fromkeys(infos):
            place = _free_address(family, address)
            for sockets in by_slot:
                sockets.append(found := _new(family))
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                found.bind(place)
                place = found.getsockname()
        for sockets in by_slot:
            for found in sockets:
                found.listen(_BACKLOG)
    except BaseException:
        close_all(by_slot)
        raise
    return by_slot


def divided(given: Sequence[socket.socket], slots: int) -> SlotSockets:
    """Sockets that were given by a service manager: slot i accepts from socket i, and from the first one again."""
    count = max(slots, len(given))
    by_slot: SlotSockets = [[] for _ in range(slots)]
    for number in range(count):
        by_slot[number % slots].append(given[number % len(given)])
    return by_slot


def close_all(by_slot: Iterable[Iterable[socket.socket]]) -> None:
    for sockets in by_slot:
        for each in sockets:
            each.close()


def _new(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.setblocking(False)
    return made


def _free_address(family: int, address: tuple[object, ...]) -> tuple[object, ...]:
    """The address, if nobody listens there. Raises OSError."""
    with _new(family) as probe:
        try:
            probe.bind(address)
        except OSError as fault:
            fault.filename = f"{address[0]}:{address[1]}"
            raise
        return address
