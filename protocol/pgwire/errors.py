"""The two kinds of fault in a wire protocol: theirs and ours."""

from __future__ import annotations

__all__ = ["LocalProtocolError", "RemoteProtocolError", "WireError"]


class WireError(Exception):
    """A message that may not exist. Only the subclasses are raised."""


class RemoteProtocolError(WireError):
    """The peer sent something that the protocol does not allow."""


class LocalProtocolError(WireError):
    """We tried to send something that the protocol does not allow: a fault of our own."""
