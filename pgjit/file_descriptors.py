"""File descriptors: how many the configured limits need, and how many clients fit where the system allows fewer.

Decides how many are reserved, so that clients cannot use up those of the admin port, the HTTP API, the control
and cancel connections, the store and the journal.
"""

from __future__ import annotations

import resource

__all__ = ["descriptors_for", "raise_limit", "room", "shortage"]

_OF_CLIENT = 3
"""The client's own, its session's on the server, and one for the CancelRequest at its end."""

_RESERVE = 160
_OF_TARGET = 8  # control connections and the catalog's
_OF_HTTP_API = 256
"""The HTTP API's connections: `api/serving.py` counts them from accept to close, and closes more."""


def descriptors_for(connections: int, targets: int, *, http_api: bool = False) -> int:
    """How many descriptors `connections` clients and everything else may need."""
    return _OF_CLIENT * connections + _beside_clients(targets, http_api=http_api)


def _beside_clients(targets: int, *, http_api: bool) -> int:
    return _RESERVE + _OF_TARGET * targets + (_OF_HTTP_API if http_api else 0)


def room(connections: int, targets: int, limit: int, *, http_api: bool = False) -> int:
    """How many of `connections` clients fit into `limit` descriptors; at least one."""
    return max(1, min(connections, (limit - _beside_clients(targets, http_api=http_api)) // _OF_CLIENT))


def raise_limit(wanted: int) -> int:
    """Raise this process's limit to `wanted` files, or as far as the system allows. Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def shortage(connections: int, targets: int, *, http_api: bool = False) -> str | None:
    """A warning for people where this system does not let a process open enough files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors_for(connections, targets, http_api=http_api)
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return None
    served = room(connections, targets, hard, http_api=http_api)
    return (
        f"`limits.connections` of {connections} may need {needed} open files, and this system allows {hard} "
        f"(RLIMIT_NOFILE): {served} connections are served at once; raise the limit with "
        "`LimitNOFILE=` of systemd or `ulimit -Hn`"
    )
