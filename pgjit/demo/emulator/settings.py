"""The emulator's configuration file: tenants, the API registration, and the principals that may request tokens.

Decides its keys. Reports every fault with its place.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

import httpx
from cryptography import x509
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pgjit.demo.emulator.directory import (
    OPTIONAL_CLAIMS,
    Api,
    FederatedCredential,
    GroupClaims,
    PrincipalKind,
    RegisteredPrincipal,
)
from pgjit.document import Document

__all__ = [
    "ApiSection", "AppCredentials", "EmulatorSettings", "Guid", "Member", "PrincipalSection", "Text", "read_settings",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCredentials:
    """An app with its secret. `oid` is the object id of its service principal, which differs from `client_id`."""

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
        """Fill in missing values. The object id is derived from the client id, so that it survives a restart."""
        client_id = client_id or str(uuid.uuid4())
        return cls(
            display=display,
            client_id=client_id,
            client_secret=client_secret or secrets.token_urlsafe(24),
            oid=oid or str(uuid.uuid5(uuid.UUID(client_id), "service principal")),
            groups=tuple(groups),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A principal of one tenant, with the groups that it is in."""

    principal: RegisteredPrincipal
    groups: tuple[str, ...] = ()
    tenant: str | None = None  # the first one


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """Without `url`, the issuer's name is the address on which the emulator listens."""

    url: str | None = None
    browser_url: str | None = None  # of the sign-in page, if browsers reach it elsewhere
    sts: str | None = None
    tenant: str = field(default_factory=lambda: str(uuid.uuid4()))
    tenants: tuple[str, ...] = ()  # further tenants
    audience: str = field(default_factory=lambda: str(uuid.uuid4()))
    api: Api | None = None  # None: an API with the client id `audience` and defaults
    people_audience: str = field(default_factory=lambda: str(uuid.uuid4()))  # of the HTTP API, where `api` is None
    apps: tuple[AppCredentials, ...] = ()
    members: tuple[Member, ...] = ()
    nested: tuple[tuple[str, str], ...] = ()  # a group, and a group that is in it
    admin_key: str | None = field(default=None, repr=False)
    sign_anything: bool = False  # whether the admin API signs any claims
    approver: str | None = None  # approves every device code


def _guid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be a GUID") from None


Guid = Annotated[str, AfterValidator(_guid)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Federated(_Section):
    issuer: Text
    subject: Text
    audience: Text = "api://AzureADTokenExchange"


class PrincipalSection(_Section):
    """A principal as the file or the admin API describes it."""

    name: Text
    kind: PrincipalKind = PrincipalKind.APP
    client_id: Guid | None = None
    oid: Guid | None = None
    secret: Text | None = None
    certificate: str | None = None  # PEM; in the file, the path of a PEM file
    federated: tuple[_Federated, ...] = ()
    public: bool = False
    parent: Guid | None = None
    upn: Text | None = None
    system_assigned: bool = False
    roles: tuple[Text, ...] = ()
    graph_roles: tuple[Text, ...] = ()
    owners: tuple[Guid, ...] = ()
    sponsors: tuple[Guid, ...] = ()
    redirect_uris: tuple[Text, ...] = ()
    acrs: tuple[Text, ...] = ()
    enabled: bool = True
    groups: tuple[Guid, ...] = ()
    tenant: Guid | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind in (PrincipalKind.AGENT, PrincipalKind.AGENT_USER) and self.parent is None:
            raise ValueError("an agent needs `parent`, its blueprint's client id; an agent's user the agent's")
        if self.kind.person and (self.client_id or self.secret):
            raise ValueError("a person has no `client_id` and no `secret`")
        return self

    def principal(self) -> RegisteredPrincipal:
        """Raises ValueError if `certificate` is not a certificate."""
        certificates = (
            () if self.certificate is None else (x509.load_pem_x509_certificate(self.certificate.encode()),)
        )
        return RegisteredPrincipal(
            kind=self.kind,
            display=self.name,
            client_id=self.client_id,
            oid=self.oid or "",
            secrets=() if self.secret is None else (self.secret,),
            certificates=certificates,
            federated=tuple(FederatedCredential(each.issuer, each.subject, each.audience) for each in self.federated),
            public=self.public,
            parent=self.parent,
            upn=self.upn,
            system_assigned=self.system_assigned,
            roles=self.roles,
            graph_roles=self.graph_roles,
            owners=self.owners,
            sponsors=self.sponsors,
            redirect_uris=self.redirect_uris,
            contexts=self.acrs,
            enabled=self.enabled,
        )


class ApiSection(_Section):
    """The API registration. Keys have the names of Entra's manifest where it has them."""

    version: Annotated[int, Field(ge=1, le=2)] = 2
    uris: tuple[Text, ...] = ()
    others: tuple[Guid, ...] = ()
    group_claims: GroupClaims = GroupClaims.SECURITY
    assigned_groups: tuple[Guid, ...] = ()
    optional_claims: tuple[Text, ...] = tuple(sorted(OPTIONAL_CLAIMS - {"use_guid"}))
    assignment_required: bool = False
    scopes: Annotated[tuple[Text, ...], Field(min_length=1)] = ("access",)

    @field_validator("optional_claims")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - OPTIONAL_CLAIMS)
        if unknown:
            raise ValueError(f"hold `{unknown[0]}`, which is not one of {', '.join(sorted(OPTIONAL_CLAIMS))}")
        return value

    def api(self, client_id: str) -> Api:
        return Api(
            client_id=client_id,
            version=self.version,
            uris=self.uris,
            others=self.others,
            group_claims=self.group_claims,
            assigned_groups=frozenset(self.assigned_groups),
            optional_claims=frozenset(self.optional_claims),
            assignment_required=self.assignment_required,
            scopes=self.scopes,
        )


class _App(_Section):
    name: Text
    client_id: Guid
    secret: Text
    oid: Guid | None = None
    groups: tuple[Guid, ...] = ()


class _Group(_Section):
    id: Guid
    groups: tuple[Guid, ...]  # groups that are members of it


class _File(_Section):
    tenant: Guid
    tenants: tuple[Guid, ...] = ()
    audience: Guid
    url: str | None = None
    browser_url: str | None = None
    sts: str | None = None
    api: ApiSection = ApiSection()
    apps: tuple[_App, ...] = ()
    principals: tuple[PrincipalSection, ...] = ()
    groups: tuple[_Group, ...] = ()
    admin_key: Annotated[str, StringConstraints(min_length=16, max_length=256)] | None = None
    sign_anything: bool = False
    approve_device_codes_as: Text | None = None

    @field_validator("url", "browser_url", "sts")
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

    @field_validator("apps", "principals")
    @classmethod
    def _told_apart(
        cls, value: tuple[_App, ...] | tuple[PrincipalSection, ...], info: ValidationInfo
    ) -> tuple[_App, ...] | tuple[PrincipalSection, ...]:
        given = [each.client_id for each in value if each.client_id is not None]
        given += [app.client_id for app in info.data.get("apps", ())]
        if len(set(given)) != len(given):
            raise ValueError("hold a `client_id` twice")
        return value

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.apps and not self.principals:
            raise ValueError("`apps` or `principals` must name somebody")
        return self


def read_settings(path: Path) -> EmulatorSettings:
    """The settings in the YAML file `path`. Raises InvalidFile with every fault."""
    document = Document.read(path)
    read = document.model(_File)
    members = [] if read is None else [_member(document, each, index) for index, each in enumerate(read.principals)]
    document.check("emulator configuration")
    assert read is not None
    apps = [
        AppCredentials.make(
            app.name, groups=app.groups, client_id=app.client_id, client_secret=app.secret, oid=app.oid
        )
        for app in read.apps
    ]
    return EmulatorSettings(
        url=read.url,
        browser_url=read.browser_url,
        sts=read.sts,
        tenant=read.tenant,
        tenants=read.tenants,
        audience=read.audience,
        api=read.api.api(read.audience),
        apps=tuple(apps),
        members=tuple(each for each in members if each is not None),
        nested=tuple((group.id, inner) for group in read.groups for inner in group.groups),
        admin_key=read.admin_key,
        sign_anything=read.sign_anything,
        approver=read.approve_device_codes_as,
    )


def _member(document: Document, section: PrincipalSection, index: int) -> Member | None:
    """Read each certificate from its file. A fault is reported at the place of its key."""
    try:
        if section.certificate is not None:
            pem = (document.path.parent / section.certificate).read_text(encoding="utf-8")
            section = section.model_copy(update={"certificate": pem})
        return Member(section.principal(), section.groups, section.tenant)
    except (OSError, ValueError) as fault:
        document.fault(("principals", index, "certificate"), f"cannot be read: {type(fault).__name__}")
        return None
