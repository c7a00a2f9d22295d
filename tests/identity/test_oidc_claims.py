"""The identity that an OpenID Connect token is for: a person who signed in, or a program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgjit.api.caller import is_person
from pgjit.identity.identity import IdentityKind
from pgjit.identity.oidc_claims import ExpectedOidcClaims, read_oidc_identity

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
EXPECTED = ExpectedOidcClaims(
    issuer="https://idp.example/realm",
    audience="api",
    groups_claim="groups",
    leeway=timedelta(seconds=30),
    max_age=timedelta(hours=24),
)
KEYCLOAK: dict[str, Any] = {
    "iss": EXPECTED.issuer, "aud": "api", "sub": "0f8fad5b-d9cb-469f-a165-70867728950e", "azp": "robot",
    "jti": "t1", "scope": "profile", "acr": "1", "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 3600,
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "kind", "person"),
    [
        ({"preferred_username": "service-account-robot"}, IdentityKind.APP, False),
        ({"preferred_username": "service-account-ROBOT", "sid": "s1"}, IdentityKind.APP, False),
        ({"gty": "client-credentials"}, IdentityKind.APP, False),
        ({"sub": "robot", "sid": "s1"}, IdentityKind.APP, False),
        ({}, IdentityKind.USER, False),
        ({"preferred_username": "ann"}, IdentityKind.USER, False),
        ({"preferred_username": "ann", "sid": "s1"}, IdentityKind.USER, True),
        ({"auth_time": NOW.timestamp()}, IdentityKind.USER, True),
    ],
)
def test_a_person_is_who_signed_in(more: dict[str, Any], kind: IdentityKind, person: bool) -> None:
    identity = read_oidc_identity({**KEYCLOAK, **more}, EXPECTED, NOW)
    assert (identity.kind, is_person(identity)) == (kind, person)
