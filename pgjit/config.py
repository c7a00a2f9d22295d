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
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, IPvAnyNetwork, field_validator

from pgjit.api.section import HttpApiSection, check_http_api
from pgjit.audit.proof.section import check_receivers
from pgjit.audit.section import JournalSection
from pgjit.audit.telemetry.section import OtlpSection, otlp_target, otlp_warnings
from pgjit.cores import cores
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
from pgjit.reload_section import ReloadSection
from pgjit.server.connection_section import ConnectionSection, connection_target
from pgjit.server.credential import LoginCredential
from pgjit.server.login_config import SecretSection, credential_of
from pgjit.server.store_login import StoreSection, store_target
from pgjit.server.target import Target
from pgjit.telemetry.otlp import OtlpTarget

__all__ = ["Config", "ConfigFile", "load_config"]


_MOST_WORKERS = 64
_LONGEST_NODE_OF_WORKERS = 59


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _networks(value: object) -> object:
    """One is a list of one."""
    return tuple(_network(each) for each in (value if isinstance(value, (list, tuple)) else [value]))


def _network(value: object) -> object:
    """Bits behind the prefix are a mistake: `10.0.0.5/8` may mean one address, or sixteen million."""
    if not isinstance(value, str):
        raise ValueError(f"`{value}` is no address and no network")  # noqa: TRY004 - pydantic reports ValueErrors
    try:
        return ip_network(value)
    except ValueError as fault:
        raise ValueError(f"`{value}` is no address and no network: {fault}") from None


class ProxyProtocolSection(_Section):
    """A load balancer begins each connection with a PROXY protocol header. Without the section one is refused."""

    networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_networks)] = Field(
        alias="from",
        min_length=1,
        max_length=64,
        description=(
            "addresses of the load balancer, as this node sees them, or networks (`10.0.4.0/24`); connections from "
            "elsewhere are closed"
        ),
    )


class ListenSection(_Section):
    """Where clients connect."""

    host: str = Field(default="127.0.0.1", description="address to listen on; `0.0.0.0` for all of IPv4")
    port: int = Field(default=6432, ge=0, le=65535, description="TCP port; 0 takes a free one")
    proxy_protocol: ProxyProtocolSection | None = None


class TlsSection(_Section):
    """The certificate that clients check. There is no session without TLS."""

    certificate: Path = Field(description="PEM file with the server's certificate and its chain")
    key: Path = Field(description="PEM file with its private key")


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
    drain_delay_seconds: float = Field(
        default=0,
        ge=0,
        le=600,
        description="that a shutdown goes on to accept connections, until balancers know of it",
    )
    drain_seconds: float = Field(
        default=10, ge=0, le=3600, description="for running statements to complete at shutdown"
    )


class ConfigFile(_Section):
    """The file as its author wrote it."""

    node: str | None = Field(
        default=None, description="name of this node, which no other node on the store has; its host's by default"
    )
    workers: Annotated[int, Field(ge=1, le=_MOST_WORKERS)] | Literal["auto"] = Field(
        default=1,
        description=(
            "processes that serve clients behind one port; `auto` is one for each core. More than one needs a "
            "PostgreSQL store"
        ),
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
    reload: ReloadSection = ReloadSection()
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
    worker: str | None = None  # the name of this process among the nodes, where it is one of several workers
    source: Path | None = None  # the file that it was read from
    console_secret: LoginCredential | None = None  # of the registration with which people sign in to the console

    @property
    def node(self) -> str:
        """The name of this process on the store: the node's, or that of the worker."""
        return self.worker or self.node_of_workers

    @property
    def node_of_workers(self) -> str:
        return self.file.node or socket.gethostname()

    @property
    def workers(self) -> int:
        """How many processes serve clients."""
        return self.file.workers if self.file.workers != "auto" else min(_MOST_WORKERS, cores())

    @property
    def journal_folder(self) -> Path:
        """The folder of the journal that this process writes: a worker has one of its own, in that of the node."""
        folder = self.path(self.file.journal.folder)
        return folder if self.worker is None else folder / self.worker

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
    targets = {name: connection_target(document, folder, name, section) for name, section in file.connections.items()}
    _check_tls(document, ("tls",), folder / file.tls.certificate, folder / file.tls.key)
    console_secret = None
    if file.api is not None:
        check_http_api(document, file.api, file.identity)
        console_secret = _console_secret(document, folder, file.api)
        if file.api.tls is not None:
            _check_tls(document, ("api", "tls"), folder / file.api.tls.certificate, folder / file.api.tls.key)
    check_identity(document, folder, file.identity)
    store = store_target(document, folder, file.store)
    _check_workers(document, file)
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
    return Config(
        file, folder, document.sha256, targets, policies, store, secrets, otlp, other,
        source=path, console_secret=console_secret,
    )  # fmt: skip


def _console_secret(document: Document, folder: Path, section: HttpApiSection) -> LoginCredential | None:
    if section.console is None or section.console.client_secret is None:
        return None
    source = SecretSection(**section.console.client_secret.model_dump(exclude_none=True))
    return credential_of(document, folder, ("api", "console", "client_secret"), source)


def _check_tls(document: Document, where: tuple[str, ...], certificate: Path, key: Path) -> None:
    before = len(document.faults)
    document.check_readable((*where, "certificate"), certificate)
    document.check_readable((*where, "key"), key)
    if len(document.faults) > before:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as fault:
        document.fault((*where, "certificate"), f"and the key do not go together: {fault}")


def _check_workers(document: Document, file: ConfigFile) -> None:
    if file.workers != 1 and file.store.kind != "postgres":
        document.fault(
            ("workers",),
            f"`{file.workers}` needs a store that several processes can use: set `store.kind: postgres` and "
            "`store.url`, or leave `workers` at 1",
        )
    if file.workers != 1 and file.node is not None and len(file.node) > _LONGEST_NODE_OF_WORKERS:
        document.fault(("node",), f"is longer than {_LONGEST_NODE_OF_WORKERS} characters: workers add a number to it")
