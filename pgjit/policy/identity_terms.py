"""What a policy requires of an identity and its token: the keys in the file, and the value made of them. Pure.

Decides for whom a policy is, besides its group, and what else must hold before it opens a connection.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pgjit.identity.app_roles import app_role
from pgjit.identity.identity import Credential, GroupId, Identity, IdentityKind

__all__ = ["GroupEntry", "GroupSection", "IdentityKeys", "IdentityTerms", "context_id", "unmet"]

_ACRS = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTerms:
    """By default: any member of the group, with any token that the provider accepts."""

    role: str | None = None  # an app role, where the policy names no group
    credential: Credential | None = None
    principals: frozenset[IdentityKind] = frozenset()  # empty: any
    acrs: frozenset[str] = frozenset()
    bind_to_token: bool = False
    bind_to_source: bool = False
    single_use_token: bool = False

    def selects(self, group: GroupId | None, groups: Iterable[GroupId], roles: Iterable[str]) -> bool:
        """Whether the policy is for an identity with these groups and roles."""
        if group is not None:
            return group in groups
        return self.role is not None and self.role in roles


def unmet(terms: IdentityTerms, identity: Identity) -> str | None:
    """The requirement that the identity's token does not meet, in words; None if it meets all."""
    if terms.principals and not identity.principals <= terms.principals:
        wanted = ", ".join(sorted(terms.principals))
        shown = " on behalf of a ".join(sorted(identity.principals))
        return f"principals of kind {wanted}: the token is of kind {shown}"
    if terms.credential is Credential.CERTIFICATE and identity.credential is not Credential.CERTIFICATE:
        return f"an app that proves itself by a certificate: it was {_shown(identity.credential)}"
    if terms.credential is Credential.SECRET and identity.credential in (None, Credential.NONE):
        return f"an app that proves itself: it was {_shown(identity.credential)}"
    if missing := terms.acrs - identity.acrs:
        return f"authentication context {', '.join(sorted(missing))}"
    return None


def _shown(credential: Credential | None) -> str:
    match credential:
        case Credential.SECRET:
            return "a secret"
        case Credential.NONE:
            return "a public client"
        case _:
            return "not said in the token"


# --- as written ------------------------------------------------------------------------------------------


def _guid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("must be the group's object id, a GUID; a name can be given beside it") from None


def _credential(value: object) -> object:
    if value == Credential.NONE:
        raise ValueError("must be certificate or secret: a public client proves nothing")
    return value


def context_id(value: object) -> str:
    """The id of an authentication context. Raises ValueError."""
    if not isinstance(value, str) or not _ACRS.match(value):
        raise ValueError("must be the id of an authentication context, such as c1")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupSection(_Section):
    """The group whose members the policy is for."""

    id: Annotated[str | None, BeforeValidator(_guid)] = Field(None, description="object id of the group")
    claim: str | None = Field(
        None, min_length=1, max_length=255, description="the group as the tokens of an OIDC issuer write it"
    )
    name: str | None = Field(None, description="for people; never compared")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.id is None) == (self.claim is None):
            raise ValueError("must have `id`, or `claim` where the provider is not Entra")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, dict(handler.resolve_ref_schema(handler(schema)))]}

    @property
    def value(self) -> GroupId:
        return GroupId(self.id or self.claim or "")


def _group(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


GroupEntry = Annotated[GroupSection, BeforeValidator(_group)]
"""A group as policies write it: its id alone, or a section."""


class RequireSection(_Section):
    """What the token has to show beside the group."""

    credential: Annotated[Credential | None, BeforeValidator(_credential)] = Field(
        None, description="how the app proved itself: `certificate`, or `secret` for either"
    )
    principal: frozenset[IdentityKind] | None = Field(
        None, min_length=1, description="kinds of identity; an agent that acts for a user needs both"
    )
    acrs: frozenset[Annotated[str, BeforeValidator(context_id)]] | None = Field(
        None, min_length=1, description="authentication contexts, all of which the token has to show"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must name a credential, principals or authentication contexts")
        return self


class IdentityKeys(_Section):
    """The keys of a policy that concern identities; a policy file has them beside its others."""

    role: Annotated[str | None, BeforeValidator(app_role)] = Field(
        None,
        description="the app role whose holders it is for, instead of a group; or `TENANT-ID/ROLE`",
    )
    require: RequireSection | None = Field(None, description="what the token has to show beside the group")
    bind_to_token: bool = Field(False, strict=True, description="sessions end when the token expires")
    bind_to_source: bool = Field(
        False, strict=True, description="all sessions of a window come from the address that opened it"
    )
    single_use_token: bool = Field(
        False, strict=True, description="a token opens one session under this policy and no second one"
    )

    def terms(self) -> IdentityTerms:
        require = self.require
        return IdentityTerms(
            role=self.role,
            credential=None if require is None else require.credential,
            principals=frozenset() if require is None else require.principal or frozenset(),
            acrs=frozenset() if require is None else require.acrs or frozenset(),
            bind_to_token=self.bind_to_token,
            bind_to_source=self.bind_to_source,
            single_use_token=self.single_use_token,
        )
