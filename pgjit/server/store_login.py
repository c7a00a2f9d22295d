"""The configuration of the window store: a file, or a database on a PostgreSQL server of its own.

Decides which keys the section has, which URLs are accepted, and what a fault of the login is called. A password is
never in the URL. TLS is verified as for the connections.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pgjit.document import Document
from pgjit.server.dial import tls_context
from pgjit.server.login_config import SecretSection, credential_of
from pgjit.server.target import Host, SslMode, Target

__all__ = ["StoreSection", "store_target", "store_tls"]

_FILES = ("sslrootcert", "sslcert", "sslkey")
_PARAMETERS = ("sslmode", *_FILES, "connect_timeout", "host", "port")
_OF_POSTGRES = ("url", "password", "strict", "stale_after")


class StoreSection(BaseModel):
    """Where windows are stored: in a file for one node, or in a PostgreSQL database for several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sqlite", "postgres"] = Field(default="sqlite", description="kind of store")
    path: Path = Field(default=Path("pgjit.sqlite3"), description="file of the SQLite store")
    url: str | None = Field(
        default=None,
        description=(
            "`postgresql://user@host:5432/database` of the PostgreSQL store, without a password; several hosts are "
            "separated by commas; parameters: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `connect_timeout`, and "
            "`host` and `port` for a Unix socket"
        ),
    )
    password: SecretSection | None = Field(
        default=None, description="where the password for the PostgreSQL store comes from"
    )
    stale_after: float = Field(
        default=30, ge=5, le=3600, description="seconds without the PostgreSQL store until a node's view is stale"
    )
    strict: bool = Field(
        default=False,
        description="a node with a stale view ends its sessions; else they go on to their ends",
    )

    @model_validator(mode="after")
    def _fits(self) -> StoreSection:
        if self.kind == "sqlite":
            if foreign := sorted(self.model_fields_set & set(_OF_POSTGRES)):
                raise ValueError(f"`{foreign[0]}` goes with `kind: postgres`")
            return self
        if "path" in self.model_fields_set:
            raise ValueError("`path` goes with `kind: sqlite`")
        if self.url is None:
            raise ValueError("`kind: postgres` needs `url`, such as postgresql://pgjit@db.internal/pgjit")
        if fault := _url_fault(self.url):
            raise ValueError(f"`url` {fault}")
        return self


def store_target(document: Document, folder: Path, section: StoreSection) -> Target | None:
    """How to log in to the store's server; None for a store in a file. Unusable files and secrets become faults."""
    if section.url is None:
        return None
    split = urlsplit(section.url)
    parameters = dict(parse_qsl(split.query))
    files: dict[str, Any] = {}
    for key in _FILES:
        if key in parameters:
            path = folder / parameters[key]
            if not path.is_file():
                document.fault(("store", "url"), f"`{key}`: there is no file `{path}`")
            files[key] = str(path)
    return Target(
        name="store",
        hosts=_hosts(split, parameters),
        database=unquote(split.path[1:]),
        user=_user(split),
        credential=credential_of(document, folder, ("store", "password"), section.password),
        sslmode=SslMode(parameters.get("sslmode", SslMode.VERIFY_FULL)),
        connect_timeout=float(parameters.get("connect_timeout", 5)),
        **files,
    )


def store_tls(target: Target) -> ssl.SSLContext | None:
    """For all of its hosts; None without TLS. Raises OSError, or ValueError for a key with a passphrase."""
    if target.sslmode is SslMode.DISABLE or all(host.is_unix for host in target.hosts):
        return None
    return tls_context(target)


def _url_fault(url: str) -> str | None:
    """What is wrong with it, in words that follow `url`; never with a password in them."""
    try:
        split = urlsplit(url)
        if ":" in split.netloc.rpartition("@")[0]:
            return "holds a password: give it in `password`"
        if split.scheme not in ("postgresql", "postgres"):
            return f"begins with `{split.scheme}`, not with `postgresql`"
        pairs = parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))
        parameters = dict(pairs)
        hosts = _hosts(split, parameters)
    except ValueError as fault:
        return f"cannot be read: {fault}"
    if unknown := sorted(set(parameters) - set(_PARAMETERS)):
        return f"has the parameter `{unknown[0]}`; known: {', '.join(_PARAMETERS)}"
    if len(parameters) < len(pairs):
        return "has a parameter twice"
    if not hosts or not all(host.name for host in hosts):
        return "names no host"
    if not _user(split):
        return "names no user"
    if not split.path[1:] or "/" in split.path[1:]:
        return "must name one database after the host"
    return _parameters_fault(parameters)


def _parameters_fault(parameters: dict[str, str]) -> str | None:
    if parameters.get("sslmode", SslMode.VERIFY_FULL) not in list(SslMode):
        return f"has an `sslmode` that is none of {', '.join(SslMode)}"
    if ("sslcert" in parameters) != ("sslkey" in parameters):
        return "must have both of `sslcert` and `sslkey`, or none"
    seconds = parameters.get("connect_timeout", "5")
    if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds) <= 60):
        return "has a `connect_timeout` that is not 1 to 60 seconds"
    return None


def _hosts(split: SplitResult, parameters: dict[str, str]) -> tuple[Host, ...]:
    """Raises ValueError."""
    places = split.netloc.rpartition("@")[2]
    if "host" in parameters:
        if places or not parameters["host"].startswith("/"):
            raise ValueError("`host` is for the folder of a Unix socket, in place of a host name")
        return (_host(f"{parameters['host']}:{parameters.get('port', 5432)}"),)
    if "port" in parameters:
        raise ValueError("`port` goes with `host`")
    return tuple(_host(place) for place in places.split(",")) if places else ()


def _host(place: str) -> Host:
    """`name`, `name:port`, `[address]` or `[address]:port`. Raises ValueError."""
    if place.startswith("["):
        name, closed, port = place[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError(f"`{place}` is not a host")
        port = port[1:]
    else:
        name, _, port = place.partition(":")
    if not port:
        return Host(name)
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"`{port}` is not a port")
    return Host(name, int(port))


def _user(split: SplitResult) -> str:
    return unquote(split.netloc.rpartition("@")[0])
