"""What is different in a configuration that was read again. Pure, but for the files that a connection names.

Decides what can change while pgjit runs, and what needs a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pgjit.api.reload_result import ChangedNames
from pgjit.app.from_config import versions_of
from pgjit.config import Config, ConfigFile
from pgjit.policy.load import policy_files
from pgjit.server.credential import CredentialUnavailable, FixedSecret, FromFile, LoginCredential
from pgjit.server.target import Target

__all__ = ["ConfigChange", "FileDigests", "change_of", "digests_of", "is_still_there", "kept_file"]

_RESTART = ("node", "workers", "listen", "identity", "store", "journal", "admin", "api", "notify", "otlp")
"""Sections that are read at start alone, but for the certificate and the roles of `api`."""

_IN_FORCE = ("api.tls", "api.roles")
_TOKEN_BYTES = "limits.token_bytes"  # noqa: S105 - a key: the identity provider has it from the start

_LEADS_TO = (
    "host", "port", "database", "user", "sslmode", "channel_binding", "target_session_attrs", "search_path",
)  # fmt: skip
"""Keys of a connection that say where its sessions are, and how they are protected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    policies: ChangedNames = field(default_factory=ChangedNames)
    connections: ChangedNames = field(default_factory=ChangedNames)
    moved: frozenset[str] = frozenset()  # connections that lead elsewhere now, are new, or are removed
    keys: tuple[str, ...] = ()  # other keys that are in force now
    restart: tuple[str, ...] = ()  # keys whose new values need a restart

    @property
    def logins(self) -> tuple[str, ...]:
        """Connections whose login, secret or certificates are others, at the same servers."""
        return tuple(name for name in self.connections.changed if name not in self.moved)

    def __bool__(self) -> bool:
        return bool(self.policies or self.connections or self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigests:
    """What the files hold that the configuration names, when it was read."""

    connections: Mapping[str, str] = field(default_factory=dict)
    tls: str = ""
    api_tls: str = ""


def digests_of(config: Config) -> FileDigests:
    section = config.file.api
    return FileDigests(
        connections={name: _of_target(target) for name, target in config.targets.items()},
        tls=_digest([config.path(config.file.tls.certificate), config.path(config.file.tls.key)]),
        api_tls=""
        if section is None or section.tls is None
        else _digest([config.path(section.tls.certificate), config.path(section.tls.key)]),
    )


def change_of(running: Config, read: Config, before: FileDigests, now: FileDigests) -> ConfigChange:
    old, new = running.file, read.file
    connections = _names(
        {name: (section, before.connections.get(name)) for name, section in old.connections.items()},
        {name: (section, now.connections.get(name)) for name, section in new.connections.items()},
    )
    moved = {
        name
        for name in connections.changed
        if any(getattr(old.connections[name], key) != getattr(new.connections[name], key) for key in _LEADS_TO)
    }
    keys = [key for key in _differing("limits", old.limits, new.limits) if key != _TOKEN_BYTES]
    keys += [*_differing("log", old.log, new.log), *_differing("reload", old.reload, new.reload)]
    if before.tls != now.tls:
        keys.append("tls")
    if before.api_tls != now.api_tls:
        keys.append("api.tls")
    if old.api is not None and new.api is not None and old.api.roles != new.api.roles:
        keys.append("api.roles")
    if old.policies != new.policies:
        keys.append("policies")
    return ConfigChange(
        policies=_names(versions_of(running), versions_of(read)),
        connections=connections,
        moved=frozenset({*moved, *connections.added, *connections.removed}),
        keys=tuple(keys),
        restart=tuple(_restart(running, read)),
    )


def kept_file(running: Config, read: Config) -> ConfigFile:
    """The file as it is in force: what needs a restart is as before."""
    kept: dict[str, Any] = {name: getattr(running.file, name) for name in _RESTART}
    if kept["api"] is not None and read.file.api is not None:
        kept["api"] = kept["api"].model_copy(update={"tls": read.file.api.tls, "roles": read.file.api.roles})
    kept["limits"] = read.file.limits.model_copy(update={"token_bytes": running.file.limits.token_bytes})
    return read.file.model_copy(update=kept)


def _restart(running: Config, read: Config) -> list[str]:
    keys: list[str] = []
    for name in _RESTART:
        keys += _differing(name, getattr(running.file, name), getattr(read.file, name))
    if running.otlp != read.otlp and not any(key.startswith("otlp") for key in keys):
        keys.append("otlp")  # a secret of it
    keys += [key for key in _differing("limits", running.file.limits, read.file.limits) if key == _TOKEN_BYTES]
    return [key for key in keys if key not in _IN_FORCE]


def _differing(name: str, old: object, new: object) -> Iterable[str]:
    """The keys of a section that differ, with its name before them."""
    if old == new:
        return []
    if not (isinstance(old, BaseModel) and isinstance(new, BaseModel)):
        return [name]
    return [f"{name}.{key}" for key in type(new).model_fields if getattr(old, key) != getattr(new, key)]


def _names(old: Mapping[str, object], new: Mapping[str, object]) -> ChangedNames:
    return ChangedNames(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def is_still_there(config: Config) -> bool:
    """Whether the files are as they were read. If not, some may have been read before a change and some after it."""
    found = {str(path) for path in policy_files(config.path(config.file.policies))}
    read = {policy.source: policy.version for policy in config.policies.values()}
    if config.source is not None:
        found.add(str(config.source))
        read[str(config.source)] = config.sha256
    return found == read.keys() and all(_sha256(path) == version for path, version in read.items())


def _sha256(path: str) -> str:
    return hashlib.sha256(_content(Path(path))).hexdigest()


# --- what is in files --------------------------------------------------------------------------------------


def _of_target(target: Target) -> str:
    """A digest of the secret, as far as it can be read without a fetch, and of the certificates of a connection."""
    return _digest(target.certificate_files, *map(_secret, target.credentials))


def _secret(login: LoginCredential) -> bytes:
    match login:
        case FixedSecret():
            return b"fixed" + login.value.encode()
        case FromFile():
            try:
                return b"file" + login.read().encode()
            except CredentialUnavailable:
                return b"unreadable"
        case _:
            return b""


def _digest(paths: Iterable[Path], *contents: bytes) -> str:
    whole = hashlib.sha256()
    for content in (*(_content(path) for path in paths), *contents):
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
