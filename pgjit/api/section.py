"""The `api` section of the configuration: where the HTTP API listens, whose tokens it accepts, and the roles.

Decides the form only. Knows no HTTP, no policy and no person.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from pgjit.api.console_section import ConsoleSection
from pgjit.document import Document
from pgjit.identity.identity import GroupId
from pgjit.identity.section import IdentitySection

__all__ = ["HttpApiSection", "HttpRolesSection", "HttpTlsSection", "check_http_api", "identity_for_api"]

_MOST_GROUPS: Final = 64


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _groups(value: object) -> object:
    """One is a list of one. A GUID is written in lower case, as tokens are read."""
    return tuple(_group(each) for each in (value if isinstance(value, (list, tuple)) else [value]))


def _group(value: object) -> object:
    try:
        return str(uuid.UUID(str(value))) if isinstance(value, str) else value
    except ValueError:
        return value


_Group = Annotated[str, Field(min_length=1)]
_Groups = Annotated[tuple[_Group, ...], BeforeValidator(_groups)]


class HttpListenSection(_Section):
    """Where the HTTP API listens. It speaks TLS only."""

    host: str = Field(default="127.0.0.1", description="address to listen on; `0.0.0.0` for all of IPv4")
    port: int = Field(default=8432, ge=0, le=65535, description="TCP port; 0 takes a free one")


class HttpTlsSection(_Section):
    """The certificate of the HTTP API, if it is not the proxy's."""

    certificate: Path = Field(description="PEM file with the server's certificate and its chain")
    key: Path = Field(description="PEM file with its private key")


class HttpRolesSection(_Section):
    """Who may do what, by group id. A person may have several roles; apps and agents are requesters at most."""

    requester: _Groups | None = Field(
        default=None,
        max_length=_MOST_GROUPS,
        description="may request access for themselves; by default everybody to whom a policy is open",
    )
    reviewer: _Groups | None = Field(
        default=None,
        max_length=_MOST_GROUPS,
        description=(
            "may see and decide the requests that a policy's `review` gives to them; by default everybody whom a "
            "`review` names"
        ),
    )
    auditor: _Groups = Field(default=(), max_length=_MOST_GROUPS, description="may read everything; changes nothing")
    admin: _Groups = Field(
        default=(),
        max_length=_MOST_GROUPS,
        description="may read everything, revoke, kill and lock; decides no request by this role",
    )

    names: dict[str, str] = Field(
        default={},
        description="of groups, for people to read: who lacks a role reads which group would give it. Never compared",
    )

    @field_validator("names")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        return {str(_group(group)): name for group, name in value.items()}

    @property
    def groups(self) -> frozenset[GroupId]:
        """All groups that give a role."""
        names = (*(self.requester or ()), *(self.reviewer or ()), *self.auditor, *self.admin)
        return frozenset(GroupId(each) for each in names)


class HttpApiSection(_Section):
    """The HTTP API for people and programs. Without this section there is none."""

    listen: HttpListenSection = HttpListenSection()
    tls: HttpTlsSection | None = None
    audience: str = Field(
        min_length=1,
        description=(
            "what its tokens are issued for; with `entra` the client id (GUID) of its API registration. It must "
            "differ from `identity.audience`: a token that an agent uses as password opens nothing here"
        ),
    )
    roles: HttpRolesSection = HttpRolesSection()
    requests_per_minute: int = Field(
        default=120, ge=1, le=6000, description="calls that one identity may make, on average"
    )
    console: ConsoleSection | None = None


def identity_for_api(identity: IdentitySection, audience: str) -> IdentitySection:
    """The identity section of the HTTP API: the same issuers, another audience.

    `app_id_uri` names the proxy's own registration, and is left out.
    """
    return identity.model_copy(update={"audience": audience, "app_id_uri": ()})


def check_http_api(document: Document, section: HttpApiSection, identity: IdentitySection) -> None:
    """Add a fault to `document` for an audience that cannot be right."""
    audience = section.audience
    if section.console is not None and identity.provider == "oidc" and section.console.client_id == audience:
        document.fault(
            ("api", "console", "client_id"),
            "is `api.audience`: a token for the client that got it is taken for an ID token, and signs nobody in",
        )
    if identity.provider == "entra":
        try:
            audience = str(uuid.UUID(audience))
        except ValueError:
            document.fault(("api", "audience"), "must be a GUID")
            return
    if audience.lower() in {identity.audience.lower(), *(uri.lower() for uri in identity.app_id_uri)}:
        document.fault(
            ("api", "audience"),
            "is the audience of the proxy: give the HTTP API a registration of its own, so that a token that is used "
            "as a password cannot approve or revoke",
        )
