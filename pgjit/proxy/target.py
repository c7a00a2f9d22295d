"""A connection: a named target server, its database, the login credential and the TLS rules.

The value only. The credential is never shown: not in `repr`, not in an error.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["SslMode", "Target"]


class SslMode(StrEnum):
    """libpq's names. There is no `allow` and no `prefer`: they fall back to plain text unasked."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    host: str  # a host name or address; a folder (`/run/postgresql`) means its Unix socket
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    sslmode: SslMode = SslMode.VERIFY_FULL
    sslrootcert: str | None = None
    search_path: str = "public"

    @property
    def is_unix(self) -> bool:
        return self.host.startswith("/")

    def tls(self) -> ssl.SSLContext | None:
        """How to speak TLS to it; None for plain text and Unix sockets. Raises OSError for a bad CA file."""
        if self.is_unix or self.sslmode is SslMode.DISABLE:
            return None
        context = ssl.create_default_context(cafile=self.sslrootcert)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.sslmode is SslMode.VERIFY_FULL
        if self.sslmode is SslMode.REQUIRE:
            context.verify_mode = ssl.CERT_NONE
        return context
