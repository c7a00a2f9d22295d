"""Reads the claims of an OpenID Connect issuer's access token: claims and now in, Identity out.

Decides issuer, audience, times, kind of token, principal and groups of JWT access tokens (RFC 9068 and similar ones).
Knows no key, no network and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pgjit.errors import TokenRefused
from pgjit.identity.entra_claims import (
    Claims,
    ExpectedEntraClaims,
    check_times,
    display_claim,
    signed_in_at,
    text_claim,
)
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind

__all__ = ["ExpectedOidcClaims", "read_oidc_identity"]

_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
_SIGN_IN: Final = frozenset({"amr", "auth_time", "session_state", "sid"})
"""Claims of a sign-in. An issuer puts none of them into a token that a program got for itself."""
_ID_TOKEN: Final = frozenset({"nonce", "at_hash", "c_hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedOidcClaims:
    """What the claims of an accepted token must be."""

    issuer: str
    audience: str
    groups_claim: str
    leeway: timedelta
    max_age: timedelta


def read_oidc_identity(claims: Claims, expected: ExpectedOidcClaims, now: datetime) -> Identity:
    """The identity in `claims`, or TokenRefused. Only for claims under a verified signature."""
    if text_claim(claims, "iss") != expected.issuer:
        raise TokenRefused("wrong-issuer", f"the token was not issued by {expected.issuer}")
    _check_kind(claims)
    audience = claims.get("aud")
    if audience not in (expected.audience, [expected.audience]) or not isinstance(audience, str | list):
        raise TokenRefused("wrong-audience", f"the token is not for {expected.audience} alone")
    times = ExpectedEntraClaims(issuers=(), leeway=expected.leeway, max_age=expected.max_age)
    issued_at, expires_at = check_times({"nbf": claims.get("iat"), **claims}, times, now)
    subject, app_id = _name(claims, "sub"), _client(claims)
    if app_id == expected.audience:
        raise TokenRefused("id-token", "it is for the very app that got it, as id tokens are")
    kind = IdentityKind.APP if _is_program(claims, subject, app_id) else IdentityKind.USER
    return Identity(
        key=IdentityKey(expected.issuer, subject),
        kind=kind,
        app_id=app_id,
        display=display_claim(claims, ("preferred_username", "name")) or subject,
        groups=_groups(claims, expected.groups_claim),
        token_id=_name(claims, "jti"),
        issued_at=issued_at,
        expires_at=expires_at,
        acrs=frozenset({_name(claims, "acr")}) if "acr" in claims else frozenset(),
        signed_in_at=signed_in_at(claims),
        signed_in=kind is IdentityKind.USER and not _SIGN_IN.isdisjoint(claims),
    )


def _check_kind(claims: Claims) -> None:
    if not _ID_TOKEN.isdisjoint(claims) or claims.get("typ") in ("ID", "Refresh", "Logout"):
        raise TokenRefused("id-token", "it is an id token or one for the issuer itself, and opens nothing")
    if claims.keys().isdisjoint({"scope", "scp", "client_id"}):
        raise TokenRefused("id-token", "it is an id token: it holds neither `scope` nor `client_id`")


def _is_program(claims: Claims, subject: str, app_id: str) -> bool:
    """Whether the app got the token for itself: its `sub` need not be the client id (Keycloak's service accounts)."""
    name = claims.get("preferred_username")
    account = isinstance(name, str) and name.lower() == f"service-account-{app_id}".lower()
    return subject in (app_id, f"{app_id}@clients") or account or claims.get("gty") == "client-credentials"


def _name(claims: Claims, name: str) -> str:
    value = text_claim(claims, name)
    if not _NAME.match(value):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a name of at most 255 printable characters")
    return value


def _client(claims: Claims) -> str:
    """The client id of the app that requested the token."""
    named = {_name(claims, name) for name in ("client_id", "azp") if name in claims}
    if len(named) != 1:
        raise TokenRefused("not-an-access-token", "`client_id` and `azp` do not name one app that got this token")
    return named.pop()


def _groups(claims: Claims, name: str) -> frozenset[GroupId]:
    """The groups in the claim of that name, or at the end of that path with dots."""
    groups: object = claims.get(name)
    if groups is None and "." in name:
        groups = claims
        for step in name.split("."):
            groups = groups.get(step) if isinstance(groups, Mapping) else None
    if groups is None:
        return frozenset()
    if not isinstance(groups, list) or not all(isinstance(each, str) and 0 < len(each) <= 255 for each in groups):
        raise TokenRefused("bad-claim", f"the claim `{name}` is not a list of names")
    return frozenset(GroupId(each) for each in groups)
