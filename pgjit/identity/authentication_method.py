"""The two ways in which a client may hand over its token."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AuthenticationMethod"]


class AuthenticationMethod(StrEnum):
    """How a client gives its token."""

    PASSWORD = "password"  # noqa: S105 - the name of the method
    OAUTHBEARER = "oauthbearer"
