"""The errors of the wire protocol: the peer's fault (remote) or the caller's (local)."""

from __future__ import annotations

__all__ = ["LocalProtocolError", "RemoteProtocolError", "WireError"]


class WireError(Exception):
    """A message that the protocol does not allow. Only the subclasses are raised."""


class RemoteProtocolError(WireError):
    """The peer sent a message that the protocol does not allow."""


class LocalProtocolError(WireError):
    """The caller tried to write a message that the protocol does not allow."""
