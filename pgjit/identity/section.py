"""The `identity` section of the configuration: its keys, and which of them go together.

Decides the form only. The providers check URLs and use the keys; the contents of a secret file are read when needed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from pgjit.document import Document
from pgjit.identity.azure_token import installed
from pgjit.identity.identity import GroupId
from pgjit.identity.membership_rechecks import GroupSource

__all__ = ["GraphSecretSection", "GraphSection", "IdentitySection", "check_identity", "group_warnings"]

_OF_ENTRA: Final = frozenset({"tenant", "app_id_uri", "token_versions", "authority", "sts", "groups", "graph"})
_OF_OIDC: Final = frozenset({"issuer", "keys", "groups_claim"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: object) -> object:
    """One is a list of one."""
    return value if isinstance(value, list) else [value]


def _guid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("must be a GUID") from None


Guid = Annotated[str, BeforeValidator(_guid)]


class GraphSecretSection(_Section):
    """Where the client secret is: never in this file."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(default=None, description="file that holds it, read for every token request")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give one of `env` and `file`")
        return self


class GraphSection(_Section):
    """Where memberships are looked up, and as whom."""

    url: str = Field(
        default="https://graph.microsoft.com", description="Graph's host; another one in sovereign clouds"
    )
    client_id: str | None = Field(
        default=None,
        description=(
            "client id (GUID) of the app registration that may read memberships; with `managed_identity` only where "
            "the machine has several"
        ),
    )
    secret: GraphSecretSection | None = Field(
        default=None, description="its client secret; or one of the three that follow"
    )
    certificate: Path | None = Field(default=None, description="PEM file of its certificate, instead of a secret")
    key: Path | None = Field(default=None, description="PEM file of the certificate's private key (RSA)")
    federated_token: Path | None = Field(
        default=None,
        description="file with a token of the platform that the registration trusts (workload identity federation)",
    )
    managed_identity: bool = Field(
        default=False, description="as this machine's managed identity; needs `pip install 'pgjit[azure]'`"
    )
    recheck: float = Field(
        default=60, ge=1, le=3600, description="seconds between two lookups of an identity with open sessions"
    )
    max_stale: float = Field(
        default=300,
        ge=1,
        le=24 * 3600,
        description="seconds that the last answer stays valid if no new one comes; then sessions end",
    )

    @field_validator("client_id")
    @classmethod
    def _client(cls, value: str | None) -> str | None:
        return None if value is None else _guid(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` go together")
        given = (self.secret, self.certificate, self.federated_token, self.managed_identity or None)
        if sum(each is not None for each in given) != 1:
            raise ValueError("give one of `secret`, `certificate`, `federated_token` and `managed_identity`")
        if self.client_id is None and not self.managed_identity:
            raise ValueError("`client_id` is missing")
        if self.max_stale < self.recheck:
            raise ValueError("`max_stale` must not be shorter than `recheck`")
        return self


class IdentitySection(_Section):
    """The identity provider, and which of its tokens are accepted."""

    provider: str = Field(default="entra", description="kind of identity provider: `entra`, or `oidc` for any other")
    audience: str = Field(
        min_length=1,
        description="what tokens are issued for; with `entra` the client id (GUID) of the API registration",
    )
    tenant: Annotated[tuple[Guid, ...], BeforeValidator(_listed)] = Field(
        default=(),
        max_length=64,
        description="`entra`: tenant id (GUID), or several: no other tenant's tokens are accepted",
    )
    authority: str = Field(
        default="https://login.microsoftonline.com",
        description="`entra`: login host; another one in sovereign clouds",
    )
    token_versions: Annotated[tuple[Literal["v1", "v2"], ...], BeforeValidator(_listed)] = Field(
        default=("v2",),
        description="`entra`: versions of access tokens that are accepted",
    )
    sts: str = Field(
        default="https://sts.windows.net",
        description="`entra`: what `iss` of v1 tokens begins with; another one in sovereign clouds",
    )
    app_id_uri: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="`entra`: other audiences that v1 tokens may be for, exactly as they are written there",
    )
    groups: GroupSource | None = Field(
        default=None,
        description=(
            "`entra`: where groups come from: the token, Microsoft Graph, or the token at login and Graph "
            "afterwards; `graph` where `identity.graph` is given, `claim` otherwise"
        ),
    )
    graph: GraphSection | None = None
    issuer: str | None = Field(default=None, description="`oidc`: the issuer's URL, exactly as tokens write it")
    keys: str | None = Field(
        default=None, description="`oidc`: URL of the key set, if it is not on the issuer's own host"
    )
    groups_claim: str = Field(
        default="groups",
        min_length=1,
        description="`oidc`: claim that lists the groups; with dots a path, such as `realm_access.roles`",
    )
    leeway: int = Field(default=60, ge=0, le=60, description="seconds that the issuer's clock may differ")
    max_token_age: int = Field(
        default=24 * 3600,
        ge=60,
        le=24 * 3600,
        description="the greatest age of a token in seconds, whatever its own expiry",
    )
    allow_http: bool = Field(
        default=False, description="accept `http://` URLs beyond this machine; for test set-ups only"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        other = {"entra": _OF_OIDC, "oidc": _OF_ENTRA}.get(self.provider, frozenset())
        if foreign := sorted(self.model_fields_set & other):
            raise ValueError(f"`{foreign[0]}` does not go with provider `{self.provider}`")
        if self.provider == "entra":
            self._fits_entra()
        elif self.provider == "oidc" and self.issuer is None:
            raise ValueError("`issuer` is missing")
        return self

    def _fits_entra(self) -> None:
        if not self.tenant:
            raise ValueError("`tenant` is missing")
        try:
            _guid(self.audience)
        except ValueError:
            raise ValueError("`audience` must be a GUID") from None
        if not self.token_versions:
            raise ValueError("`token_versions` must name at least one")
        if self.app_id_uri and "v1" not in self.token_versions:
            raise ValueError("`app_id_uri` goes with `v1` among `token_versions`: v2 tokens are for the client id")
        if self.group_source is not GroupSource.CLAIM and self.graph is None:
            raise ValueError(f"`groups: {self.group_source}` needs `graph`")
        if self.graph is not None and self.graph.managed_identity and len(self.tenant) > 1:
            raise ValueError("`graph.managed_identity` is of one tenant, and `tenant` names several")

    @property
    def group_source(self) -> GroupSource:
        if self.groups is not None:
            return self.groups
        return GroupSource.CLAIM if self.graph is None else GroupSource.GRAPH


def group_warnings(section: IdentitySection, groups: Iterable[tuple[str, GroupId]]) -> list[str]:
    """Warnings about settings that are valid but hardly intended. `groups`: each policy's name and its group."""
    warnings = []
    groups = list(groups)
    if section.provider == "entra" and section.group_source is GroupSource.CLAIM and groups:
        warnings.append(
            "`identity.groups` is `claim`: memberships are not looked up again while sessions are open. A removal "
            "takes effect with the next token, for a managed identity up to a day later. A token without the claim "
            "opens no policy for a group. Configure `identity.graph` to look memberships up"
        )
    for policy, group in groups:
        try:
            uuid.UUID(group)
        except ValueError:
            if section.provider == "entra":
                warnings.append(
                    f"policy `{policy}` is for the group `{group}`, which is not an object id: it has no members"
                )
    return warnings


def check_identity(document: Document, folder: Path, section: IdentitySection) -> None:
    """Add a fault to `document` for each secret, file or package that is missing at start."""
    graph = section.graph
    if graph is None:
        return
    where = ("identity", "graph")
    if graph.secret is not None and graph.secret.env is not None and not os.environ.get(graph.secret.env):
        document.fault((*where, "secret", "env"), f"environment variable `{graph.secret.env}` is not set")
    files = {
        ("secret", "file"): graph.secret.file if graph.secret else None,
        ("certificate",): graph.certificate,
        ("key",): graph.key,
        ("federated_token",): graph.federated_token,
    }
    if graph.managed_identity and not installed():
        document.fault((*where, "managed_identity"), "needs azure-identity: pip install 'pgjit[azure]'")
    for key, path in files.items():
        if path is None:
            continue
        try:
            (folder / path).read_bytes()
        except OSError as fault:
            document.fault((*where, *key), f"`{folder / path}` cannot be read: {fault.strerror}")
