"""The configuration of the proxy: one YAML file. Every fault is reported at once, each with its place.

Decides which keys exist and what they mean. Reads the files that the configuration names (policies, certificates,
secrets) and opens no connection. The proxy does not start with a fault. Reference: docs/config.md.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from pgjit.api.section import HttpApiSection, check_http_api
from pgjit.audit.proof.section import check_receivers
from pgjit.audit.section import JournalSection
from pgjit.audit.telemetry.section import OtlpSection, otlp_target, otlp_warnings
from pgjit.document import Document
from pgjit.errors import InvalidFile
from pgjit.file_descriptors import shortage
from pgjit.identity.app_roles import role_warnings
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.section import IdentitySection, check_identity, group_warnings
from pgjit.judging.judge import STATEMENT_BYTES
from pgjit.notify.section import ChannelSecrets, NotifySection, check_notify
from pgjit.policy.language import CONNECTION_NAME
from pgjit.policy.load import Policies, load_policies
from pgjit.server.login_config import ControlSection, SecretSection, control_login, credential_of
from pgjit.server.store_login import StoreSection, store_target
from pgjit.server.target import ChannelBinding, Host, Keepalive, SessionAttrs, SslMode, Target
from pgjit.telemetry.otlp import OtlpTarget

__all__ = ["Config", "ConfigFile", "load_config"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenSection(_Section):
    """Where clients connect."""

    host: str = Field(default="127.0.0.1", description="address to listen on; `0.0.0.0` for all of IPv4")
    port: int = Field(default=6432, ge=0, le=65535, description="TCP port; 0 takes a free one")


class TlsSection(_Section):
    """The certificate that clients check. There is no session without TLS."""

    certificate: Path = Field(description="PEM file with the server's certificate and its chain")
    key: Path = Field(description="PEM file with its private key")


def _listed(value: object) -> object:
    """A single value is a list of one."""
    return value if isinstance(value, list) else [value]


HostName = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ConnectionSection(_Section):
    """The servers of a database, and the login that agents never see."""

    host: Annotated[tuple[HostName, ...], BeforeValidator(_listed)] = Field(
        min_length=1,
        max_length=16,
        description="host name; a folder that begins with `/` means a Unix socket; a list is tried in order",
    )
    port: Annotated[tuple[Port, ...], BeforeValidator(_listed)] = Field(
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


class AdminSection(_Section):
    """The HTTP port for health and metrics."""

    host: str = Field(default="127.0.0.1", description="address of the admin port")
    port: int = Field(default=9432, ge=0, le=65535, description="TCP port; 0 takes a free one")


class LogSection(_Section):
    """The program's own log, on standard error. What agents do is in the journal, not here."""

    format: Literal["text", "json"] = Field(default="text", description="a line of text, or a JSON object a line")
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least important lines that are written"
    )


class LimitsSection(_Section):
    """How much clients may use."""

    connections: int = Field(default=500, ge=1, le=100_000, description="client connections at once")
    connections_per_address: int = Field(
        default=100, ge=1, le=100_000, description="client connections at once from one IPv4 address or one IPv6 /64"
    )
    sessions_per_identity: int = Field(
        default=20, ge=1, le=100_000, description="sessions of one identity at once, under all its policies"
    )
    handshake_seconds: float = Field(
        default=30, gt=0, le=300, description="from connecting to the end of the login, TLS included"
    )
    catalog_seconds: float = Field(
        default=10, gt=0, le=300, description="that a login waits for the server's catalog to be read"
    )
    statement_bytes: int = Field(
        default=STATEMENT_BYTES,
        ge=1024,
        le=16 * 1024 * 1024,
        description="text of one message's statements; under `access: full` a longer text runs without being parsed",
    )
    judging_seconds: float = Field(
        default=30, gt=0, le=600, description="for judging one message's statements; after that they are refused"
    )
    message_bytes: int = Field(
        default=16 * 1024 * 1024, ge=64 * 1024, le=1 << 30, description="one message with its parameters"
    )
    journal_bytes_per_second: int = Field(
        default=8 * 1024 * 1024,
        ge=64 * 1024,
        description="records that one identity may cause; half a minute's worth at once, then it is slowed down",
    )
    token_bytes: int = Field(default=16 * 1024, ge=1024, le=64 * 1024, description="access token")
    drain_seconds: float = Field(
        default=10, ge=0, le=3600, description="for running statements to complete at shutdown"
    )


class ConfigFile(_Section):
    """The file as its author wrote it."""

    node: str | None = Field(
        default=None, description="name of this node, which no other node on the store has; its host's by default"
    )
    listen: ListenSection = ListenSection()
    tls: TlsSection
    identity: IdentitySection
    connections: dict[str, ConnectionSection] = Field(min_length=1)
    policies: Path = Field(description="folder with the policy files")
    store: StoreSection = StoreSection()
    journal: JournalSection = JournalSection()
    admin: AdminSection = AdminSection()
    api: HttpApiSection | None = None
    notify: NotifySection | None = None
    log: LogSection = LogSection()
    otlp: OtlpSection | None = None
    limits: LimitsSection = LimitsSection()

    @field_validator("node")
    @classmethod
    def _node(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
            raise ValueError("a node's name has letters, digits, `.`, `_` and `-`, at most 63 of them")
        return value

    @field_validator("connections")
    @classmethod
    def _names(cls, value: dict[str, ConnectionSection]) -> dict[str, ConnectionSection]:
        for name in value:
            if not CONNECTION_NAME.match(name) or len(name) > 63:
                raise ValueError(
                    f"connection `{name}` must begin with a letter and hold lower-case letters, digits, `-` and `_`, "
                    "at most 63 of them"
                )
        return value


@dataclass(frozen=True, slots=True)
class Config:
    """The checked configuration: the file, its policies, and a target for each connection."""

    file: ConfigFile
    folder: Path  # relative paths start here
    sha256: str
    targets: dict[str, Target]
    policies: Policies
    store: Target | None = None  # the server of the store; None if the store is a file
    channel_secrets: ChannelSecrets = field(default_factory=dict)
    otlp: OtlpTarget | None = None
    other_names: tuple[str, ...] = ()  # warnings: connections that are not named as their databases

    @property
    def node(self) -> str:
        return self.file.node or socket.gethostname()

    def path(self, path: Path) -> Path:
        return self.folder / path

    @property
    def warnings(self) -> list[str]:
        """Remarks for people. None of them keeps the proxy from starting."""
        groups = [(policy.name, policy.group) for policy in self.policies.values() if policy.group is not None]
        short = shortage(self.file.limits.connections, len(self.targets), http_api=self.file.api is not None)
        return [
            *self.policies.warnings,
            *group_warnings(self.file.identity, groups),
            *role_warnings(self.file.identity.tenant, self.policies.roles),
            *self.other_names,
            *([] if self.file.otlp is None else otlp_warnings(self.file.otlp)),
            *([short] if short else []),
        ]

    @property
    def authentication(self) -> dict[str, AuthenticationMethod]:
        """How clients send their token, by the connection that they ask for."""
        return {name: section.authentication for name, section in self.file.connections.items()}


def load_config(path: Path) -> Config:
    """Read the file and check everything that can be checked without a connection. Raises InvalidFile."""
    document = Document.read(path)
    file = document.model(ConfigFile)
    if file is None:
        raise InvalidFile(f"configuration {path}", document.faults)
    folder = path.resolve().parent
    targets = {name: _target(document, folder, name, section) for name, section in file.connections.items()}
    _check_tls(document, ("tls",), folder / file.tls.certificate, folder / file.tls.key)
    if file.api is not None:
        check_http_api(document, file.api, file.identity)
        if file.api.tls is not None:
            _check_tls(document, ("api", "tls"), folder / file.api.tls.certificate, folder / file.api.tls.key)
    check_identity(document, folder, file.identity)
    store = store_target(document, folder, file.store)
    secrets = {} if file.notify is None else check_notify(document, folder, file.notify)
    otlp = None if file.otlp is None else otlp_target(document, folder, file.otlp)
    check_receivers(document, file.journal.checkpoint, collector=otlp is not None)
    policies, policy_faults = load_policies(folder / file.policies)
    faults = [*document.faults, *policy_faults]
    if not policies and not policy_faults:
        faults.append(document.place(("policies",)) + ": this folder has no policy, so nobody could connect")
    for policy in policies.values():
        if policy.connection not in file.connections:
            known = ", ".join(sorted(file.connections))
            faults.append(
                f"{policy.source}: policy `{policy.name}` names connection `{policy.connection}`; known: {known}"
            )
    needed = max((policy.ttl + policy.cooldown for policy in policies.values()), default=timedelta())
    if file.journal.keeping.keep is not None and file.journal.keeping.keep < needed:
        faults.append(
            f"{document.place(('journal', 'keep_days'))}: windows and cooldowns of the policies last up to {needed}, "
            "and the journal has to keep their records as long: a store that is lost is restored from them"
        )
    if faults:
        raise InvalidFile(f"configuration {path}", faults)
    other = tuple(
        f"{document.place(('connections', name))}: connection `{name}` is not named as its database, "
        f"`{section.database}`: tools that expect dbname to be current_database() (dbt, pgjdbc's metadata, pgAdmin) "
        "look for their tables in a database that does not exist"
        for name, section in file.connections.items()
        if name != section.database
    )
    return Config(file, folder, document.sha256, targets, policies, store, secrets, otlp, other)


def _target(document: Document, folder: Path, name: str, section: ConnectionSection) -> Target:
    files: dict[str, str | None] = {}
    for key in ("sslrootcert", "sslcert", "sslkey"):
        path: Path | None = getattr(section, key)
        files[key] = None if path is None else str(folder / path)
        if path is not None:
            _readable(document, ("connections", name, key), folder / path)
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


def _check_tls(document: Document, where: tuple[str, ...], certificate: Path, key: Path) -> None:
    before = len(document.faults)
    _readable(document, (*where, "certificate"), certificate)
    _readable(document, (*where, "key"), key)
    if len(document.faults) > before:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as fault:
        document.fault((*where, "certificate"), f"and the key do not go together: {fault}")


def _readable(document: Document, where: tuple[str, ...], path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as fault:
        document.fault(where, f"`{path}` cannot be read: {fault.strerror}")
