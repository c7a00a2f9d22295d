"""A connection as configured: the servers, the database, the login credential and the TLS rules. Values only.

The credential never appears in a `repr` or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from pgjit.server.credential import LoginCredential

__all__ = ["ChannelBinding", "ControlLogin", "Host", "Keepalive", "SessionAttrs", "SslMode", "Target"]


class SslMode(StrEnum):
    """libpq's names. `allow` and `prefer` are not offered: they fall back to plain text silently."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class ChannelBinding(StrEnum):
    """Whether the password's proof is tied to the server's certificate (RFC 5929); libpq's names."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"


class SessionAttrs(StrEnum):
    """Which servers are acceptable; libpq's values of `target_session_attrs`."""

    ANY = "any"
    READ_WRITE = "read-write"
    READ_ONLY = "read-only"
    PRIMARY = "primary"
    STANDBY = "standby"
    PREFER_STANDBY = "prefer-standby"


@dataclass(frozen=True, slots=True)
class Host:
    name: str  # a host name or address; a folder (`/run/postgresql`) means its Unix socket
    port: int = 5432

    @property
    def is_unix(self) -> bool:
        return self.name.startswith("/")

    def __str__(self) -> str:
        if self.is_unix:
            return f"{self.name}/.s.PGSQL.{self.port}"
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP keepalive settings, to detect a peer that vanished. 0 leaves the system default."""

    idle: int = 30  # seconds of silence until the first probe
    interval: int = 10  # seconds between probes
    count: int = 3  # probes without an answer until the link is given up
    user_timeout: int = 0  # milliseconds that sent data may stay unacknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlLogin:
    """A separate login for the control connections, which sessions cannot change."""

    user: str
    credential: LoginCredential | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    hosts: tuple[Host, ...]  # in the order in which they are tried
    database: str
    user: str
    credential: LoginCredential | None = field(default=None, repr=False)
    sslmode: SslMode = SslMode.VERIFY_FULL
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    channel_binding: ChannelBinding = ChannelBinding.PREFER
    session_attrs: SessionAttrs = SessionAttrs.ANY
    connect_timeout: float = 5.0  # seconds for one address, from connecting to being logged in
    keepalive: Keepalive = Keepalive()
    search_path: str = "public"
    warm: int = 0  # connections that are made ahead, at most
    control: ControlLogin | None = None  # None: the control connections log in as the sessions do

    @property
    def credentials(self) -> tuple[LoginCredential, ...]:
        """Those of the sessions and of the control connections, where there are some."""
        own = (self.credential, None if self.control is None else self.control.credential)
        return tuple(each for each in own if each is not None)

    @property
    def certificate_files(self) -> tuple[Path, ...]:
        """The files of its TLS rules: certificates, and the key."""
        return tuple(Path(each) for each in (self.sslrootcert, self.sslcert, self.sslkey) if each is not None)

    @property
    def for_control(self) -> Target:
        """The same servers under the login of the control connections."""
        if self.control is None:
            return self
        return replace(self, user=self.control.user, credential=self.control.credential)
