"""File descriptors: how many the limits may take, and for how many clients there is room where there are fewer.

Decides what is kept back for what no client may use up: the admin port, control and cancel connections, store and
journal.
"""

from __future__ import annotations

import resource

__all__ = ["descriptors_for", "raise_limit", "room", "shortage"]

_OF_CLIENT = 3
"""A client's own, its session's on the server, and the one by which that is cancelled when it ends."""

_RESERVE = 160
_OF_TARGET = 8  # control connections and the catalog's


def descriptors_for(connections: int, targets: int) -> int:
    """As many as `connections` clients and all else may take."""
    return _OF_CLIENT * connections + _RESERVE + _OF_TARGET * targets


def room(connections: int, targets: int, limit: int) -> int:
    """How many of `connections` clients may be here at once where there are `limit` descriptors; at least one."""
    return max(1, min(connections, (limit - _RESERVE - _OF_TARGET * targets) // _OF_CLIENT))


def raise_limit(wanted: int) -> int:
    """Let this process open `wanted` files, as far as the system lets it; the limit that there is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def shortage(connections: int, targets: int) -> str | None:
    """What to tell people where this system does not let a process open enough files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors_for(connections, targets)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return None
    return (
        f"`limits.connections` of {connections} may take {wanted} open files, and this system allows {hard} "
        f"(RLIMIT_NOFILE): {room(connections, targets, hard)} connections are served at once; raise it with "
        "`LimitNOFILE=` of systemd or `ulimit -Hn`"
    )
