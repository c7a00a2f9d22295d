"""What the emulator is told: its tenant, its audience and the apps that may ask for tokens."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from pgjit.document import Document

__all__ = ["AppCredentials", "EmulatorSettings", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCredentials:
    """An app and what it logs in with. `oid` is its service principal's object id, another than `client_id`."""

    display: str
    client_id: str
    client_secret: str = field(repr=False)
    oid: str
    groups: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        display: str,
        *,
        groups: Iterable[str] = (),
        client_id: str | None = None,
        client_secret: str | None = None,
        oid: str | None = None,
    ) -> Self:
        """What is not given is made up; an object id from the client id, so that it outlives a restart."""
        client_id = client_id or str(uuid.uuid4())
        return cls(
            display=display,
            client_id=client_id,
            client_secret=client_secret or secrets.token_urlsafe(24),
            oid=oid or str(uuid.uuid5(uuid.UUID(client_id), "service principal")),
            groups=tuple(groups),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """Without `url`, tokens are issued under the address that is listened on."""

    url: str | None = None
    tenant: str = field(default_factory=lambda: str(uuid.uuid4()))
    audience: str = field(default_factory=lambda: str(uuid.uuid4()))
    apps: tuple[AppCredentials, ...] = ()


def _guid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be a GUID") from None


Guid = Annotated[str, AfterValidator(_guid)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _App(_Section):
    name: Text
    client_id: Guid
    secret: Text
    oid: Guid | None = None
    groups: tuple[Guid, ...] = ()


class _File(_Section):
    tenant: Guid
    audience: Guid
    url: str | None = None
    apps: tuple[_App, ...] = Field(min_length=1)

    @field_validator("url")
    @classmethod
    def _base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            raise ValueError("must be a URL") from None
        plain = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
        if url.scheme not in ("http", "https") or not url.host or plain != value:
            raise ValueError("must be of the form `http://host:port`")
        return value

    @field_validator("apps")
    @classmethod
    def _told_apart(cls, apps: tuple[_App, ...]) -> tuple[_App, ...]:
        if len({app.client_id for app in apps}) != len(apps):
            raise ValueError("hold a `client_id` twice")
        return apps


def read_settings(path: Path) -> EmulatorSettings:
    """The settings in the YAML file `path`. Raises InvalidFile with every fault."""
    document = Document.read(path)
    read = document.model(_File)
    document.check("emulator configuration")
    assert read is not None
    apps = [
        AppCredentials.make(
            app.name, groups=app.groups, client_id=app.client_id, client_secret=app.secret, oid=app.oid
        )
        for app in read.apps
    ]
    return EmulatorSettings(url=read.url, tenant=read.tenant, audience=read.audience, apps=tuple(apps))
