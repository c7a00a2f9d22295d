"""What a token whose signature is verified says, and whether that is an identity: claims and now in, Identity out.

Decides issuer, tenant, audience, times, kind of token, principal and groups of Entra's v2.0 access tokens.
Knows no key, no network and no clock of its own. A claim that is not used here is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pgjit.errors import TokenRefused
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind

__all__ = ["GUID", "Expected", "read_identity"]

GUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")

Claims = Mapping[str, object]

_LATEST: Final = 253_402_300_799  # the last second that a datetime holds
_BACKDATED: Final = timedelta(minutes=10)  # Entra dates `iat` five minutes back: a token of 24 h says 24 h 5 min
_TOKEN_ID: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")
_FACETS: Final = re.compile(r"[0-9]{1,6}( [0-9]{1,6})*\Z")
_AGENT, _AGENT_USER = 11, 13  # facets of actor and subject (`xms_act_fct`, `xms_sub_fct`)
_OTHER_AUDIENCES: Final = {
    "00000003-0000-0000-c000-000000000000": "Microsoft Graph",
    "https://graph.microsoft.com": "Microsoft Graph",
    "https://management.azure.com": "Azure Resource Manager",
    "https://management.core.windows.net": "Azure Resource Manager",
    "https://ossrdbms-aad.database.windows.net": "Azure Database for PostgreSQL",
    "api://azureadtokenexchange": "a token exchange",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must say to be ours."""

    issuer: str
    tenant: str
    audience: str
    leeway: timedelta
    max_age: timedelta


def read_identity(claims: Claims, expected: Expected, now: datetime) -> Identity:
    """The identity in `claims`, or TokenRefused. Only for claims under a verified signature."""
    _check_origin(claims, expected)
    _check_audience(claims, expected)
    issued_at, expires_at = _check_times(claims, expected, now)
    app_id = _client(claims)
    kind = _kind(claims)
    oid = _guid(claims, "oid")
    if not _text(claims, "sub"):
        raise TokenRefused("bad-claim", "the claim `sub` is empty")
    return Identity(
        key=IdentityKey(expected.tenant, oid),
        kind=kind,
        app_id=app_id,
        display=_display(claims, kind, oid),
        groups=_groups(claims),
        token_id=_token_id(claims),
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _text(claims: Claims, name: str) -> str:
    if name not in claims:
        raise TokenRefused("missing-claim", f"the claim `{name}` is missing")
    value = claims[name]
    if not isinstance(value, str):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not text")
    return value


def _guid(claims: Claims, name: str) -> str:
    value = _text(claims, name)
    if not GUID.match(value):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a GUID")
    return value.lower()


def _token_id(claims: Claims) -> str:
    value = _text(claims, "uti")
    if not _TOKEN_ID.match(value):
        raise TokenRefused("bad-claim", "the claim `uti` is not a token id")
    return value


# --- where from, for whom, when --------------------------------------------------------------------------


def _check_origin(claims: Claims, expected: Expected) -> None:
    if _text(claims, "ver") != "2.0":
        raise TokenRefused(
            "wrong-version", "the token is not v2.0: set `requestedAccessTokenVersion` of the API registration to 2"
        )
    if _text(claims, "iss") != expected.issuer:
        raise TokenRefused("wrong-issuer", f"the token was not issued by {expected.issuer}")
    if _text(claims, "tid") != expected.tenant:
        raise TokenRefused("wrong-tenant", f"the token is not of tenant {expected.tenant}")


def _check_audience(claims: Claims, expected: Expected) -> None:
    audience = _text(claims, "aud")
    if audience == expected.audience:
        return
    known = _OTHER_AUDIENCES.get(audience.rstrip("/").lower())
    meant = f": it is for {known}" if known else ""
    raise TokenRefused("wrong-audience", f"the token is not for {expected.audience}{meant}")


def _second(claims: Claims, name: str) -> datetime:
    if name not in claims:
        raise TokenRefused("missing-claim", f"the claim `{name}` is missing")
    value = claims[name]
    if type(value) is not int or not 0 <= value <= _LATEST:  # bool is an int to isinstance
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a time in whole seconds")
    return datetime.fromtimestamp(value, UTC)


def _check_times(claims: Claims, expected: Expected, now: datetime) -> tuple[datetime, datetime]:
    """When it was issued and when it ends. Differences only: near year 9999 a sum would overflow."""
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


# --- what kind of token, of whom -------------------------------------------------------------------------


def _client(claims: Claims) -> str:
    """The app that got the token. An id token has none: it is for an app, not of one."""
    if not claims.keys().isdisjoint({"nonce", "at_hash", "c_hash"}):
        raise TokenRefused("not-an-access-token", "it is an id token: it holds `nonce`, `at_hash` or `c_hash`")
    named = [_guid(claims, name) for name in ("azp", "appid") if name in claims]
    if not named:
        raise TokenRefused("not-an-access-token", "no app got this token: it holds neither `azp` nor `appid`")
    if len(set(named)) > 1:
        raise TokenRefused("bad-claim", "the claims `azp` and `appid` differ")
    return named[0]


def _kind(claims: Claims) -> IdentityKind:
    scopes = _text(claims, "scp").strip(" /") if "scp" in claims else ""  # agents: empty or `/` without a user
    roles = _roles(claims)
    declared = _text(claims, "idtyp") if "idtyp" in claims else None
    match declared:
        case "app" if scopes:
            raise TokenRefused("unknown-kind", "the token is of an app, yet holds the scopes of a user")
        case "app":
            app_only = True
        case "user" if not scopes:
            raise TokenRefused("unknown-kind", "the token is of a user, yet holds no scope")
        case "user":
            app_only = False
        case None if scopes:
            app_only = False
        case None if roles:
            app_only = True
        case _:
            raise TokenRefused("unknown-kind", "`idtyp`, `scp` and `roles` do not tell an app from a user")
    actor, subject = _facets(claims, "xms_act_fct"), _facets(claims, "xms_sub_fct")
    if app_only:
        if _AGENT_USER in subject:
            raise TokenRefused("unknown-kind", "the token is of an app, yet its subject is an agent's user")
        agent = _AGENT in actor | subject or "xms_par_app_azp" in claims
        return IdentityKind.AGENT if agent else IdentityKind.APP
    return IdentityKind.AGENT_USER if _AGENT_USER in subject else IdentityKind.USER


def _roles(claims: Claims) -> list[str]:
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) and role for role in roles):
        raise TokenRefused("bad-claim", "the claim `roles` is not a list of names")
    return roles


def _facets(claims: Claims, name: str) -> frozenset[int]:
    if name not in claims:
        return frozenset()
    value = _text(claims, name)
    if not _FACETS.match(value):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a list of numbers")
    return frozenset(int(number) for number in value.split())


def _groups(claims: Claims) -> frozenset[GroupId]:
    """The group ids. Where the token only points to them, nobody knows: never a reason to look there."""
    elsewhere = claims.get("_claim_names", {})
    if not isinstance(elsewhere, dict):
        raise TokenRefused("bad-claim", "the claim `_claim_names` is not an object")
    if "groups" in elsewhere or "hasgroups" in claims:
        raise TokenRefused(
            "groups-overage",
            "the identity is in more groups than a token holds: let the API registration emit only the groups"
            " that are assigned to it",
        )
    groups = claims.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(each, str) and GUID.match(each) for each in groups):
        raise TokenRefused("bad-claim", "the claim `groups` is not a list of GUIDs")
    return frozenset(GroupId(each.lower()) for each in groups)


def _display(claims: Claims, kind: IdentityKind, oid: str) -> str:
    """A name to show: mutable and chosen by others, so it is cut, cleaned and never compared."""
    of_app = kind in (IdentityKind.APP, IdentityKind.AGENT)
    for name in ("app_displayname",) if of_app else ("preferred_username", "upn", "name"):
        value = claims.get(name)
        if isinstance(value, str):
            shown = "".join(sign if sign.isprintable() else " " for sign in value[:128]).strip()
            if shown:
                return shown
    return oid
