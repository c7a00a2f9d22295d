"""The claims of Entra's access tokens, of version 1 and version 2.

Decides which claims a subject's token has, by the API registration. Takes `now`; does not know keys or HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pgjit.demo.emulator.directory import Api, GroupClaims, PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.issuer import TokenIssuer, base64url
from pgjit.demo.emulator.resource import EXCHANGE, AskedResource, Resource

__all__ = ["LIFETIME", "LONG_LIFETIME", "TokenSubject", "access_claims", "id_claims"]

LIFETIME: Final = timedelta(minutes=75)  # Entra takes 60 to 90 minutes at random
LONG_LIFETIME: Final = timedelta(hours=24)  # of a managed identity's token
_BACKDATED: Final = timedelta(minutes=5)  # as Entra dates `iat` and `nbf`
_AGENT, _AGENT_USER = "11", "13"


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """The principal that a token is about, the client that requested it, and how the client authenticated."""

    principal: RegisteredPrincipal
    client: RegisteredPrincipal
    credential: str = "1"  # 0 none, 1 a secret, 2 a certificate or an assertion
    signed_in_at: datetime | None = None  # when a person signed in for this token
    contexts: tuple[str, ...] = ()  # that the person satisfied then, besides those that it always satisfies

    @property
    def person(self) -> bool:
        return self.principal.kind.person


def access_claims(
    subject: TokenSubject,
    asked: AskedResource,
    api: Api,
    directory: TenantDirectory,
    issuer: TokenIssuer,
    now: datetime,
) -> dict[str, object]:
    """The claims of an access token for the requested resource."""
    version = {Resource.API: api.version, Resource.GRAPH: 1}.get(asked.resource, 2)
    long = subject.principal.kind is PrincipalKind.MANAGED_IDENTITY
    begins = int((now - _BACKDATED).timestamp())
    claims: dict[str, object] = {
        "aud": _audience(asked, api, version),
        "iss": issuer.name(directory.tenant, version),
        "iat": begins,
        "nbf": begins,
        "exp": int((now + (LONG_LIFETIME if long else LIFETIME)).timestamp()),
        "aio": base64url(secrets.token_bytes(33)),
        "oid": subject.principal.oid,
        "rh": f"1.{base64url(secrets.token_bytes(30))}.",
        "sub": subject.principal.oid,
        "tid": directory.tenant,
        "uti": base64url(secrets.token_bytes(16)),
        "ver": f"{version}.0",
    }
    claims |= _client(subject, version)
    if subject.person:
        claims |= _person(subject, asked, directory, issuer, version)
    else:
        claims |= {"app_displayname": subject.principal.display}
        if version == 1:
            claims["idp"] = issuer.name(directory.tenant, 1)
    if asked.resource is Resource.GRAPH:
        claims |= {"roles": list(subject.principal.graph_roles)} if not subject.person else {}
        claims["idtyp"] = "user" if subject.person else "app"
    elif asked.resource is Resource.API:
        claims |= _optional(subject, api)
        claims |= _groups(subject.principal, api, directory)
        if subject.principal.roles:
            claims["roles"] = list(subject.principal.roles)
    return claims


def id_claims(
    subject: TokenSubject, directory: TenantDirectory, issuer: TokenIssuer, now: datetime, nonce: str | None = None
) -> dict[str, object]:
    """The claims of an id token, which is for the client. `nonce`: as the client sent it."""
    begins = int((now - _BACKDATED).timestamp())
    return {
        **({} if nonce is None else {"nonce": nonce}),
        "aud": subject.client.client_id,
        "iss": issuer.name(directory.tenant),
        "iat": begins,
        "nbf": begins,
        "exp": int((now + LIFETIME).timestamp()),
        "name": subject.principal.display,
        "oid": subject.principal.oid,
        "preferred_username": subject.principal.upn,
        "sub": _pairwise(subject, str(subject.client.client_id)),
        "tid": directory.tenant,
        "uti": base64url(secrets.token_bytes(16)),
        "ver": "2.0",
    }


def _audience(asked: AskedResource, api: Api, version: int) -> str:
    match asked.resource:
        case Resource.API if version == 2 or "use_guid" in api.optional_claims:
            return asked.audience if asked.audience in api.others else api.client_id
        case Resource.EXCHANGE:
            return EXCHANGE
        case Resource.BLUEPRINT:
            return asked.audience.removeprefix("api://")
    return asked.audience


def _client(subject: TokenSubject, version: int) -> dict[str, object]:
    if version == 1:
        return {"appid": subject.client.client_id, "appidacr": subject.credential}
    return {"azp": subject.client.client_id, "azpacr": subject.credential}


def _person(
    subject: TokenSubject, asked: AskedResource, directory: TenantDirectory, issuer: TokenIssuer, version: int
) -> dict[str, object]:
    principal = subject.principal
    claims: dict[str, object] = {
        "name": principal.display,
        "scp": " ".join(asked.scopes) or ("User.Read" if asked.resource is Resource.GRAPH else "access"),
        "sub": _pairwise(subject, asked.audience),
    }
    if version == 2:
        return {**claims, "preferred_username": principal.upn}
    return {
        **claims,
        "acr": "1",
        "amr": ["pwd", "mfa"],
        "idp": issuer.name(directory.tenant, 1),
        "ipaddr": "192.0.2.1",
        "unique_name": principal.upn,
        "upn": principal.upn,
    }


def _pairwise(subject: TokenSubject, audience: str) -> str:
    return base64url(hashlib.sha256(f"{subject.principal.oid} {audience}".encode()).digest())


def _optional(subject: TokenSubject, api: Api) -> dict[str, object]:
    """The optional claims that apply to this subject and that the API registration requests."""
    principal, client = subject.principal, subject.client
    claims: dict[str, object] = {}
    if not subject.person:
        claims["idtyp"] = "app"
        claims["xms_idrel"] = "7"
    elif "include_user_token" in api.optional_claims:
        claims["idtyp"] = "user"
    if contexts := dict.fromkeys((*principal.contexts, *subject.contexts)):
        claims["acrs"] = list(contexts)
    if subject.signed_in_at is not None:
        claims["auth_time"] = int(subject.signed_in_at.timestamp())
    if client.kind is PrincipalKind.AGENT:
        claims["xms_act_fct"] = _AGENT
        claims["xms_par_app_azp"] = client.parent
        if principal.kind is PrincipalKind.AGENT:
            claims["xms_sub_fct"] = _AGENT
        elif principal.kind is PrincipalKind.AGENT_USER:
            claims["xms_sub_fct"] = _AGENT_USER
    return {name: value for name, value in claims.items() if name in api.optional_claims}


def _groups(principal: RegisteredPrincipal, api: Api, directory: TenantDirectory) -> dict[str, object]:
    match api.group_claims:
        case GroupClaims.NONE:
            return {}
        case GroupClaims.SECURITY:
            groups = directory.groups_of(principal.oid)
        case GroupClaims.APPLICATION:
            groups = [each for each in directory.direct_groups_of(principal.oid) if each in api.assigned_groups]
    if len(groups) > api.most_groups:
        # Entra still names this host, which no longer responds.
        kind = "users" if principal.kind.person else "servicePrincipals"
        place = f"https://graph.windows.net/{directory.tenant}/{kind}/{principal.oid}/getMemberObjects"
        return {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": place}}}
    return {"groups": groups} if groups else {}
