"""The server's configuration: one YAML file, read whole; every fault at once with its place.

Decides which keys exist and what they mean. Opens nothing but the files that it names; nothing starts on a
fault. Reference: docs/config.md.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pgjit.document import Document
from pgjit.errors import InvalidFile
from pgjit.policy.load import Policies, load_policies
from pgjit.proxy.services import Limits
from pgjit.proxy.target import SslMode, Target

__all__ = ["Config", "ConfigFile", "load_config"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenSection(_Section):
    """Where clients connect."""

    host: str = Field(default="127.0.0.1", description="address to listen on; `0.0.0.0` for all of IPv4")
    port: int = Field(default=6432, ge=0, le=65535, description="TCP port; 0 takes a free one")


class TlsSection(_Section):
    """What clients check: there is no session without TLS."""

    certificate: Path = Field(description="PEM file with the server's certificate and its chain")
    key: Path = Field(description="PEM file with its private key")


class IdentitySection(_Section):
    """Who issues the tokens."""

    provider: str = Field(default="entra", description="kind of identity provider")
    tenant: str = Field(description="tenant id (GUID): no other tenant's tokens are accepted")
    audience: str = Field(description="client id (GUID) of the API registration that tokens are issued for")
    authority: str = Field(
        default="https://login.microsoftonline.com", description="login host; another one in sovereign clouds"
    )
    allow_http: bool = Field(
        default=False, description="accept an `http://` authority beyond this machine; for test set-ups only"
    )

    @field_validator("tenant", "audience")
    @classmethod
    def _guid(cls, value: str) -> str:
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise ValueError("must be a GUID") from None


class SecretSection(_Section):
    """Where a secret is: never in this file."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(default=None, description="file that holds it; one newline at its end is left out")

    @model_validator(mode="after")
    def _one(self) -> SecretSection:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either `env` or `file`")
        return self


class ConnectionSection(_Section):
    """A target server, its database and the login that agents never see."""

    host: str = Field(min_length=1, description="host name; a folder that begins with `/` means a Unix socket")
    port: int = Field(default=5432, ge=1, le=65535, description="TCP port, or the number of the Unix socket")
    database: str = Field(min_length=1, description="database on that server")
    user: str = Field(min_length=1, description="login role")
    password: SecretSection | None = Field(default=None, description="where the login role's password is")
    sslmode: SslMode = Field(
        default=SslMode.VERIFY_FULL, description="as in libpq; `allow` and `prefer` do not exist here"
    )
    sslrootcert: Path | None = Field(default=None, description="PEM file of the CA; the system's CAs if not given")
    search_path: str = Field(default="public", description="pinned search_path of every session")


class StoreSection(_Section):
    """Where windows are remembered."""

    kind: str = Field(default="sqlite", description="kind of store")
    path: Path = Field(default=Path("pgjit.sqlite3"), description="file of the SQLite store")


class JournalSection(_Section):
    """Where every execution is recorded."""

    kind: str = Field(default="file", description="kind of sink")
    path: Path = Field(default=Path("journal.jsonl"), description="file of the journal, one JSON record a line")
    sync: Literal["interval", "always"] = Field(
        default="interval",
        description=(
            "`interval`: on disk within a second, safe when pgjit dies; "
            "`always`: on disk before it is forwarded, safe when the machine dies"
        ),
    )


class AdminSection(_Section):
    """The HTTP port for health and metrics."""

    host: str = Field(default="127.0.0.1", description="address of the admin port")
    port: int = Field(default=9432, ge=0, le=65535, description="TCP port; 0 takes a free one")


class LimitsSection(_Section):
    """How much of it."""

    connections: int = Field(default=500, ge=1, le=100_000, description="client connections at once")
    handshake_seconds: float = Field(default=30, gt=0, le=300, description="from connecting to being logged in")
    statement_bytes: int = Field(
        default=256 * 1024, ge=1024, le=16 * 1024 * 1024, description="text of one message's statements"
    )
    message_bytes: int = Field(
        default=16 * 1024 * 1024, ge=64 * 1024, le=1 << 30, description="one message with its parameters"
    )
    token_bytes: int = Field(default=16 * 1024, ge=1024, le=64 * 1024, description="access token")
    drain_seconds: float = Field(default=10, ge=0, le=3600, description="given to running statements at shutdown")


class ConfigFile(_Section):
    """The file as written."""

    listen: ListenSection = ListenSection()
    tls: TlsSection
    identity: IdentitySection
    connections: dict[str, ConnectionSection] = Field(min_length=1)
    policies: Path = Field(description="folder with the policy files")
    store: StoreSection = StoreSection()
    journal: JournalSection = JournalSection()
    admin: AdminSection = AdminSection()
    limits: LimitsSection = LimitsSection()

    @field_validator("connections")
    @classmethod
    def _names(cls, value: dict[str, ConnectionSection]) -> dict[str, ConnectionSection]:
        for name in value:
            if not _NAME.match(name) or len(name) > 63:
                raise ValueError(f"connection `{name}` must be named in kebab-case, with at most 63 characters")
        return value


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration, checked, with its files' contents where they are needed."""

    file: ConfigFile
    folder: Path  # relative paths start here
    sha256: str
    targets: dict[str, Target]
    policies: Policies

    def path(self, path: Path) -> Path:
        return self.folder / path

    @property
    def limits(self) -> Limits:
        limits = self.file.limits
        return Limits(
            connections=limits.connections,
            handshake_seconds=limits.handshake_seconds,
            statement_bytes=limits.statement_bytes,
            message_bytes=limits.message_bytes,
            token_bytes=limits.token_bytes,
        )


def load_config(path: Path) -> Config:
    """Read and check everything that can be checked before starting. Raises InvalidFile with all faults."""
    document = Document.read(path)
    file = document.model(ConfigFile)
    if file is None:
        raise InvalidFile(f"configuration {path}", document.faults)
    folder = path.resolve().parent
    targets = {name: _target(document, folder, name, section) for name, section in file.connections.items()}
    for key in ("certificate", "key"):
        _readable(document, ("tls", key), folder / getattr(file.tls, key))
    policies, policy_faults = load_policies(folder / file.policies)
    faults = [*document.faults, *policy_faults]
    if not policies and not policy_faults:
        faults.append(document.place(("policies",)) + ": there is no policy in this folder, so nobody could connect")
    for policy in policies.values():
        if policy.connection not in file.connections:
            known = ", ".join(sorted(file.connections))
            faults.append(
                f"{policy.source}: policy `{policy.name}` names connection `{policy.connection}`; known: {known}"
            )
    if faults:
        raise InvalidFile(f"configuration {path}", faults)
    return Config(file, folder, document.sha256, targets, policies)


def _target(document: Document, folder: Path, name: str, section: ConnectionSection) -> Target:
    root = None
    if section.sslrootcert is not None:
        root = str(folder / section.sslrootcert)
        _readable(document, ("connections", name, "sslrootcert"), Path(root))
    return Target(
        name=name,
        host=section.host,
        port=section.port,
        database=section.database,
        user=section.user,
        password=_secret(document, folder, name, section.password),
        sslmode=section.sslmode,
        sslrootcert=root,
        search_path=section.search_path,
    )


def _secret(document: Document, folder: Path, name: str, secret: SecretSection | None) -> str | None:
    where = ("connections", name, "password")
    if secret is None:
        return None
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if not value:
            document.fault((*where, "env"), f"environment variable `{secret.env}` is not set")
        return value
    assert secret.file is not None
    try:
        value = (folder / secret.file).read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as fault:
        document.fault((*where, "file"), f"cannot be read: {getattr(fault, 'strerror', None) or 'not text'}")
        return None
    if not value:
        document.fault((*where, "file"), "is empty")
    return value


def _readable(document: Document, where: tuple[str, ...], path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as fault:
        document.fault(where, f"`{path}` cannot be read: {fault.strerror}")
