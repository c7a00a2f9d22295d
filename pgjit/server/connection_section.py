"""A connection in the configuration: its servers, its TLS, and the login that agents never see.

Decides which keys a connection has, which go together, and the target that they make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pgjit.document import Document
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.server.login_config import ControlSection, SecretSection, control_login, credential_of
from pgjit.server.target import ChannelBinding, Host, Keepalive, SessionAttrs, SslMode, Target

__all__ = ["ConnectionSection", "connection_target"]


def _listed(value: object) -> object:
    """A single value is a list of one."""
    return value if isinstance(value, list) else [value]


_HostName = Annotated[str, Field(min_length=1)]
_Port = Annotated[int, Field(ge=1, le=65535)]


class ConnectionSection(BaseModel):
    """The servers of a database, and the login that agents never see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[tuple[_HostName, ...], BeforeValidator(_listed)] = Field(
        min_length=1,
        max_length=16,
        description="host name; a folder that begins with `/` means a Unix socket; a list is tried in order",
    )
    port: Annotated[tuple[_Port, ...], BeforeValidator(_listed)] = Field(
        default=(5432,),
        description="TCP port, or the number of the Unix socket; a list has one for each host",
    )
    target_session_attrs: SessionAttrs = Field(
        default=SessionAttrs.ANY, description="which of the servers may be used, as in libpq"
    )
    connect_timeout: float = Field(
        default=5, gt=0, le=60, description="seconds for one address, from connecting to the end of the login"
    )
    database: str = Field(min_length=1, description="database on that server")
    user: str = Field(min_length=1, description="login role")
    password: SecretSection | None = Field(default=None, description="where the login role's password comes from")
    control: ControlSection | None = None
    sslmode: SslMode = Field(
        default=SslMode.VERIFY_FULL, description="as in libpq; `allow` and `prefer` do not exist here"
    )
    sslrootcert: Path | None = Field(
        default=None, description="PEM file of the CA; without it, the system's CAs. Checked under `require` as well"
    )
    sslcert: Path | None = Field(default=None, description="PEM file of a client certificate and its chain")
    sslkey: Path | None = Field(default=None, description="PEM file of its private key, without a passphrase")
    channel_binding: ChannelBinding = Field(
        default=ChannelBinding.PREFER, description="SCRAM tied to the server's certificate, as in libpq"
    )
    warm: int = Field(
        default=0,
        ge=0,
        le=100,
        description=(
            "connections that are made ahead, at most: an agent that connects often in the same window, with the "
            "same settings, finds one ready. Each is used by one session, and kept for a minute at most"
        ),
    )
    keepalives_idle: int = Field(default=30, ge=0, le=7200, description="seconds of silence until the first probe")
    keepalives_interval: int = Field(default=10, ge=0, le=7200, description="seconds between probes")
    keepalives_count: int = Field(
        default=3, ge=0, le=100, description="unanswered probes until the connection counts as lost"
    )
    tcp_user_timeout: int = Field(
        default=0,
        ge=0,
        le=3_600_000,
        description=(
            "milliseconds that sent data may stay unacknowledged; a session whose server does not read for this long "
            "ends. In these four keys 0 means the system's default"
        ),
    )
    search_path: str = Field(
        default="public", description="the search_path of every session, which no client can change"
    )
    authentication: AuthenticationMethod = Field(
        default=AuthenticationMethod.PASSWORD,
        description=(
            "how clients send their token: as the password, or by SASL `OAUTHBEARER`, which libpq supports from "
            "version 18 on"
        ),
    )

    @model_validator(mode="after")
    def _fits(self) -> ConnectionSection:
        if len(self.port) not in (1, len(self.host)):
            raise ValueError("`port` must be one number, or as many as there are hosts")
        if (self.sslcert is None) != (self.sslkey is None):
            raise ValueError("`sslcert` and `sslkey` go together")
        if self.control is not None and self.control.user == self.user:
            raise ValueError("`control` must log in as another role than `user`")
        plain = self.sslmode is SslMode.DISABLE or all(name.startswith("/") for name in self.host)
        if plain and self.channel_binding is ChannelBinding.REQUIRE:
            raise ValueError("`channel_binding: require` needs TLS")
        return self

    @property
    def hosts(self) -> tuple[Host, ...]:
        ports = self.port if len(self.port) > 1 else self.port * len(self.host)
        return tuple(Host(name, port) for name, port in zip(self.host, ports, strict=True))


def connection_target(document: Document, folder: Path, name: str, section: ConnectionSection) -> Target:
    """How to log in to its servers. Files and secrets that cannot be used become faults."""
    files: dict[str, str | None] = {}
    for key in ("sslrootcert", "sslcert", "sslkey"):
        path: Path | None = getattr(section, key)
        files[key] = None if path is None else str(folder / path)
        if path is not None:
            document.check_readable(("connections", name, key), folder / path)
    return Target(
        name=name,
        hosts=section.hosts,
        database=section.database,
        user=section.user,
        credential=credential_of(document, folder, ("connections", name, "password"), section.password),
        sslmode=section.sslmode,
        sslrootcert=files["sslrootcert"],
        sslcert=files["sslcert"],
        sslkey=files["sslkey"],
        channel_binding=section.channel_binding,
        session_attrs=section.target_session_attrs,
        connect_timeout=section.connect_timeout,
        keepalive=Keepalive(
            idle=section.keepalives_idle,
            interval=section.keepalives_interval,
            count=section.keepalives_count,
            user_timeout=section.tcp_user_timeout,
        ),
        search_path=section.search_path,
        warm=section.warm,
        control=control_login(document, folder, name, section.control),
    )
