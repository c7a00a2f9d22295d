"""The two methods by which a client may send its token."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AuthenticationMethod"]


class AuthenticationMethod(StrEnum):
    """As the password, or by the SASL mechanism OAUTHBEARER."""

    PASSWORD = "password"  # noqa: S105 - the name of the method
    OAUTHBEARER = "oauthbearer"
