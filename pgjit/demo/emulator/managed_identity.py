"""The endpoints of managed identities: that of a virtual machine (IMDS) and that of App Service.

Decides which identity a request means. Caches tokens as Azure does: a changed membership does not appear in a managed
identity's token until the old token is near its end.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pgjit.demo.emulator.claims import LONG_LIFETIME, TokenSubject
from pgjit.demo.emulator.cloud import Cloud
from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal
from pgjit.demo.emulator.oauth_error import OAuthError
from pgjit.demo.emulator.resource import read_scope

__all__ = ["app_service_token", "machine_token"]

_RENEWED_BEFORE: Final = timedelta(hours=12)  # Azure issues a new token after half of the old one's life
Query = Mapping[str, str]


def machine_token(cloud: Cloud, query: Query, headers: Mapping[str, str]) -> dict[str, object]:
    """The response of 169.254.169.254. Raises OAuthError."""
    if headers.get("metadata", "").lower() != "true" or "x-forwarded-for" in headers:
        # The header keeps a page or a proxy from being tricked into requesting a token.
        raise OAuthError("invalid_request", 0, "Required metadata header not specified")
    if not query.get("api-version"):
        raise OAuthError("invalid_request", 0, "Required query parameter 'api-version' not specified")
    identity = _identity(cloud, query)
    token, ends = _token(cloud, identity, _resource(query))
    left = int((ends - cloud.now()).total_seconds())
    return {
        "access_token": token,
        "client_id": identity.client_id,
        "expires_in": str(left),
        "expires_on": str(int(ends.timestamp())),
        "ext_expires_in": str(left),
        "not_before": str(int((ends - LONG_LIFETIME).timestamp())),
        "resource": query["resource"],
        "token_type": "Bearer",
    }


def app_service_token(cloud: Cloud, query: Query, headers: Mapping[str, str]) -> dict[str, object]:
    """The response of `IDENTITY_ENDPOINT` to a caller that sends `IDENTITY_HEADER`. Raises OAuthError."""
    if not secrets.compare_digest(headers.get("x-identity-header", "").encode(), cloud.identity_header.encode()):
        raise OAuthError("unauthorized", 0, "The header X-IDENTITY-HEADER is not that of this app.", 401)
    identity = _identity(cloud, query)
    token, ends = _token(cloud, identity, _resource(query))
    return {
        "access_token": token,
        "client_id": identity.client_id,
        "expires_on": str(int(ends.timestamp())),
        "resource": query["resource"],
        "token_type": "Bearer",
    }


def _resource(query: Query) -> str:
    if not query.get("resource"):
        raise OAuthError("invalid_request", 0, "Required query parameter 'resource' not specified")
    return query["resource"]


def _identity(cloud: Cloud, query: Query) -> RegisteredPrincipal:
    """The named identity, else the machine's own, else the only one."""
    principals = cloud.directory(cloud.home).principals.values()
    assigned = [each for each in principals if each.kind is PrincipalKind.MANAGED_IDENTITY]
    client_id, oid = query.get("client_id"), query.get("object_id") or query.get("principal_id")
    if client_id or oid:
        found = [each for each in assigned if client_id in (None, each.client_id) and oid in (None, each.oid)]
    else:
        found = [each for each in assigned if each.system_assigned] or assigned
    if len(found) > 1:
        raise OAuthError("invalid_request", 0, "Multiple user assigned identities exist: specify the client id")
    if not found:
        raise OAuthError("invalid_request", 0, "Identity not found")
    return found[0]


def _token(cloud: Cloud, identity: RegisteredPrincipal, resource: str) -> tuple[str, datetime]:
    directory, now = cloud.directory(cloud.home), cloud.now()
    asked = read_scope(f"{resource}/.default", cloud.api, directory, graph=cloud.bases, app_only=True)
    if not identity.enabled:
        raise OAuthError("unauthorized_client", 7000112, "The managed identity is disabled.")
    place = identity.oid, resource
    kept = cloud.kept_tokens.get(place)
    if kept is not None and kept[1] - now > _RENEWED_BEFORE:
        return kept
    fresh = cloud.access_token(TokenSubject(identity, identity, "2"), asked, directory), now + LONG_LIFETIME
    cloud.kept_tokens[place] = fresh
    return fresh
