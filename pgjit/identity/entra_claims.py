"""Reads the claims of an Entra access token whose signature is verified: claims and now in, Identity out.

Decides issuer, tenant, audience, times, kind of token, principal and groups. `oidc_claims.py` shares the checks of
times. Knows no key, no network and no clock. Claims that are not named here are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pgjit.errors import TokenRefused
from pgjit.identity.app_roles import counted_roles
from pgjit.identity.identity import Credential, GroupId, Identity, IdentityKey, IdentityKind

__all__ = [
    "GUID",
    "Claims",
    "ExpectedEntraClaims",
    "Issuer",
    "check_times",
    "display_claim",
    "find_issuer",
    "read_identity",
    "signed_in_at",
    "text_claim",
]

GUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")

Claims = Mapping[str, object]

_LATEST: Final = 253_402_300_799  # the last second that a datetime holds
_BACKDATED: Final = timedelta(
    minutes=10
)  # Entra dates `iat` five minutes back: a token for 24 h lasts 24 h 5 min by its claims
_TOKEN_ID: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")
_FACETS: Final = re.compile(r"[0-9]{1,6}( [0-9]{1,6})*\Z")
_AGENT, _AGENT_USER = 11, 13  # facets of the actor and the subject (`xms_act_fct`, `xms_sub_fct`)
_ID_TOKEN: Final = frozenset({"nonce", "at_hash", "c_hash"})
_GRAPH: Final = "Microsoft Graph"
_OTHER_AUDIENCES: Final = {
    "00000003-0000-0000-c000-000000000000": _GRAPH,
    "https://graph.microsoft.com": _GRAPH,
    "https://graph.microsoft.us": _GRAPH,
    "https://dod-graph.microsoft.us": _GRAPH,
    "https://microsoftgraph.chinacloudapi.cn": _GRAPH,
    "https://graph.windows.net": "Azure AD Graph",
    "00000002-0000-0000-c000-000000000000": "Azure AD Graph",
    "https://management.azure.com": "Azure Resource Manager",
    "https://management.core.windows.net": "Azure Resource Manager",
    "https://ossrdbms-aad.database.windows.net": "Azure Database for PostgreSQL",
    "api://azureadtokenexchange": "a token exchange",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One tenant's issuer of one version of tokens, and the other claims that its tokens must have."""

    issuer: str
    tenant: str
    version: str  # `1.0` or `2.0`
    audiences: frozenset[str]
    first: bool = False  # whether it is the first tenant: app roles without a tenant are of this one


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedEntraClaims:
    """What the claims of an accepted token must be."""

    issuers: tuple[Issuer, ...]
    leeway: timedelta
    max_age: timedelta
    overage: bool = False  # whether a token may lack its groups: the directory is queried instead


def find_issuer(claims: Claims, expected: ExpectedEntraClaims) -> Issuer:
    """The accepted issuer that equals `iss`, to the letter. The claims `tid` and `ver` must agree with it."""
    version, name = text_claim(claims, "ver"), text_claim(claims, "iss")
    if version not in {each.version for each in expected.issuers}:
        raise TokenRefused("wrong-version", _version_hint(version))
    found = [each for each in expected.issuers if each.issuer == name]
    if not found:
        raise TokenRefused("wrong-issuer", f"the token was not issued by {_names(expected.issuers)}")
    issuer = found[0]
    if version != issuer.version:
        raise TokenRefused("wrong-version", f"{issuer.issuer} does not issue tokens of the version in `ver`")
    if text_claim(claims, "tid") != issuer.tenant:
        raise TokenRefused("wrong-tenant", f"the token is not of tenant {issuer.tenant}")
    return issuer


def read_identity(claims: Claims, expected: ExpectedEntraClaims, now: datetime) -> Identity:
    """The identity in `claims`, or TokenRefused. The signature must have been verified before."""
    issuer = find_issuer(claims, expected)
    _check_audience(claims, issuer)
    issued_at, expires_at = check_times(claims, expected, now)
    app_id = _client(claims)
    app_only = _app_only(claims)
    actor, subject = _facets(claims, "xms_act_fct"), _facets(claims, "xms_sub_fct")
    agent = (
        _AGENT in actor | subject or "xms_par_app_azp" in claims
    )  # any sign of an agent counts: a policy must name agents explicitly
    kind = _kind(subject, agent=agent, app_only=app_only)
    oid = _guid(claims, "oid")
    if not text_claim(claims, "sub"):
        raise TokenRefused("bad-claim", "the claim `sub` is empty")
    groups = _groups(claims, overage=expected.overage)
    return Identity(
        key=IdentityKey(issuer.tenant, oid),
        kind=kind,
        app_id=app_id,
        display=_display(claims, kind, oid),
        groups=groups or frozenset(),
        token_id=_token_id(claims),
        issued_at=issued_at,
        expires_at=expires_at,
        roles=counted_roles(_roles(claims), issuer.tenant, first=issuer.first),
        groups_known=groups is not None,
        blueprint_id=_guid(claims, "xms_par_app_azp") if "xms_par_app_azp" in claims else None,
        on_behalf_of=oid if kind is IdentityKind.USER and agent else None,
        credential=_credential(claims),
        acrs=_acrs(claims),
        signed_in_at=signed_in_at(claims),
    )


def signed_in_at(claims: Claims) -> datetime | None:
    """`auth_time` (OpenID Connect), which Entra's access tokens have as an optional claim."""
    value = claims.get("auth_time")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise TokenRefused("bad-claim", "the claim `auth_time` is not a time")
    return datetime.fromtimestamp(value, UTC)


def text_claim(claims: Claims, name: str) -> str:
    if name not in claims:
        raise TokenRefused("missing-claim", f"the claim `{name}` is missing")
    value = claims[name]
    if not isinstance(value, str):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not text")
    return value


def _guid(claims: Claims, name: str) -> str:
    value = text_claim(claims, name)
    if not GUID.match(value):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a GUID")
    return value.lower()


def _token_id(claims: Claims) -> str:
    value = text_claim(claims, "uti")
    if not _TOKEN_ID.match(value):
        raise TokenRefused("bad-claim", "the claim `uti` is not a token id")
    return value


# --- issuer, audience, times -----------------------------------------------------------------------------


def _version_hint(version: str) -> str:
    if version == "1.0":
        return (
            "the token is v1.0: set `requestedAccessTokenVersion` of the API registration to 2, or accept `v1`"
            " by `token_versions`"
        )
    return "the token is of a version that is not accepted"


def _names(issuers: tuple[Issuer, ...]) -> str:
    most = 3
    named = " or ".join(each.issuer for each in issuers[:most])
    return named if len(issuers) <= most else f"{named}, nor by {len(issuers) - most} others that are accepted"


def _check_audience(claims: Claims, issuer: Issuer) -> None:
    audience = text_claim(claims, "aud")
    if audience in issuer.audiences:
        return
    known = _OTHER_AUDIENCES.get(audience.rstrip("/").lower())
    if known == _GRAPH:
        raise TokenRefused("graph-token", "it is a token for Microsoft Graph, and not for this proxy")
    if _is_id_token(claims):
        raise TokenRefused(
            "id-token", "it is an id token: it is for an app that a user signs in to, and opens nothing"
        )
    meant = f": it is for {known}" if known else ""
    raise TokenRefused("wrong-audience", f"the token is not for {' or '.join(sorted(issuer.audiences))}{meant}")


def _second(claims: Claims, name: str) -> datetime:
    if name not in claims:
        raise TokenRefused("missing-claim", f"the claim `{name}` is missing")
    value = claims[name]
    if type(value) is not int or not 0 <= value <= _LATEST:  # bool is an int to isinstance
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a time in whole seconds")
    return datetime.fromtimestamp(value, UTC)


def check_times(claims: Claims, expected: ExpectedEntraClaims, now: datetime) -> tuple[datetime, datetime]:
    """The times of issue and of expiry. Computed with differences: near year 9999 a sum would overflow."""
    issued, begins, ends = (_second(claims, name) for name in ("iat", "nbf", "exp"))
    if now - ends >= expected.leeway:
        raise TokenRefused("expired", f"the token ended at {ends:%Y-%m-%d %H:%M:%S} UTC")
    if begins - now > expected.leeway:
        raise TokenRefused("not-yet-valid", f"the token begins at {begins:%Y-%m-%d %H:%M:%S} UTC")
    if issued - now > expected.leeway:
        raise TokenRefused("issued-in-future", f"the token is dated {issued:%Y-%m-%d %H:%M:%S} UTC")
    if now - issued > expected.max_age:
        raise TokenRefused("too-old", f"the token was issued at {issued:%Y-%m-%d %H:%M:%S} UTC")
    if ends <= issued or ends <= begins:
        raise TokenRefused("bad-lifetime", "the token ends before it begins")
    if ends - issued > expected.max_age + _BACKDATED:
        raise TokenRefused("bad-lifetime", f"the token is good for longer than {expected.max_age}")
    return issued, ends


# --- kind of token, principal ----------------------------------------------------------------------------


def _is_id_token(claims: Claims) -> bool:
    """An id token names no client that requested it, or it is bound to a sign-in (`nonce`)."""
    return not _ID_TOKEN.isdisjoint(claims) or claims.keys().isdisjoint({"azp", "appid", "scp", "roles", "idtyp"})


def _client(claims: Claims) -> str:
    """The client id of the app that requested the token."""
    if not _ID_TOKEN.isdisjoint(claims):
        raise TokenRefused("id-token", "it is an id token: it holds `nonce`, `at_hash` or `c_hash`")
    named = [_guid(claims, name) for name in ("azp", "appid") if name in claims]
    if not named:
        if _is_id_token(claims):
            raise TokenRefused("id-token", "it is an id token: no app got it to call an API with")
        raise TokenRefused("not-an-access-token", "no app got this token: it holds neither `azp` nor `appid`")
    if len(set(named)) > 1:
        raise TokenRefused("bad-claim", "the claims `azp` and `appid` differ")
    return named[0]


def _app_only(claims: Claims) -> bool:
    """Whether the token is an app's own, without a user."""
    scopes = text_claim(claims, "scp").strip(" /") if "scp" in claims else ""  # agents: empty or `/` without a user
    declared = text_claim(claims, "idtyp") if "idtyp" in claims else None
    match declared:
        case "app" if scopes:
            raise TokenRefused("unknown-kind", "the token is of an app, yet holds the scopes of a user")
        case "app":
            return True
        case "user" if not scopes:
            raise TokenRefused("unknown-kind", "the token is of a user, yet holds no scope")
        case "user":
            return False
        case None if scopes:
            return False
        case None if _roles(claims):
            return True
        case _:
            raise TokenRefused(
                "unknown-kind", "`idtyp`, `scp` and `roles` do not show whether it is of an app or of a user"
            )


def _kind(subject: frozenset[int], *, agent: bool, app_only: bool) -> IdentityKind:
    if app_only:
        if _AGENT_USER in subject:
            raise TokenRefused("unknown-kind", "the token is of an app, yet its subject is an agent's user")
        return IdentityKind.AGENT if agent else IdentityKind.APP
    return IdentityKind.AGENT_USER if _AGENT_USER in subject else IdentityKind.USER


def _credential(claims: Claims) -> Credential | None:
    """`azpacr` of v2 tokens, `appidacr` of v1: 0, 1 or 2. Other numbers are not defined, and give None."""
    values = {text_claim(claims, name) for name in ("azpacr", "appidacr") if name in claims}
    if len(values) > 1:
        raise TokenRefused("bad-claim", "the claims `azpacr` and `appidacr` differ")
    return (
        {"0": Credential.NONE, "1": Credential.SECRET, "2": Credential.CERTIFICATE}.get(values.pop())
        if values
        else None
    )


def _acrs(claims: Claims) -> frozenset[str]:
    acrs = claims.get("acrs", [])
    if not isinstance(acrs, list) or not all(isinstance(each, str) and each for each in acrs):
        raise TokenRefused("bad-claim", "the claim `acrs` is not a list of names")
    return frozenset(acrs)


def _roles(claims: Claims) -> list[str]:
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) and role for role in roles):
        raise TokenRefused("bad-claim", "the claim `roles` is not a list of names")
    return roles


def _facets(claims: Claims, name: str) -> frozenset[int]:
    if name not in claims:
        return frozenset()
    value = text_claim(claims, name)
    if not _FACETS.match(value):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a list of numbers")
    return frozenset(int(number) for number in value.split())


def _groups(claims: Claims, *, overage: bool) -> frozenset[GroupId] | None:
    """The group ids; None if the token only refers to them. The URL in such a reference is never used."""
    references = claims.get("_claim_names", {})
    if not isinstance(references, dict):
        raise TokenRefused("bad-claim", "the claim `_claim_names` is not an object")
    if "groups" in references or "hasgroups" in claims:
        if overage and "groups" not in claims:
            return None
        raise TokenRefused(
            "groups-overage",
            "the identity is in more groups than a token holds: let the API registration emit only the groups"
            " that are assigned to it, or let groups be looked up by `identity.graph`",
        )
    if overage and "groups" not in claims:
        return None
    groups = claims.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(each, str) and GUID.match(each) for each in groups):
        raise TokenRefused("bad-claim", "the claim `groups` is not a list of GUIDs")
    return frozenset(GroupId(each.lower()) for each in groups)


def _display(claims: Claims, kind: IdentityKind, oid: str) -> str:
    of_app = kind in (IdentityKind.APP, IdentityKind.AGENT)
    return display_claim(claims, ("app_displayname",) if of_app else ("preferred_username", "upn", "name")) or oid


def display_claim(claims: Claims, names: tuple[str, ...]) -> str | None:
    """A name for display only: others choose it and may change it, so it is cut, cleaned and never compared."""
    for name in names:
        value = claims.get(name)
        if isinstance(value, str):
            clean = "".join(sign if sign.isprintable() else " " for sign in value[:128]).strip()
            if clean:
                return clean
    return None
