"""The part of Microsoft Graph that reports memberships, and whether a principal exists and is enabled.

Decides Graph's response to a token: audience, permissions, errors. All memberships are transitive and always current.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import jwt

from pgjit.demo.emulator.cloud import Cloud
from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.issuer import base64url, hashed_nonce
from pgjit.demo.emulator.resource import GRAPH_AUDIENCES

__all__ = ["GraphCaller", "GraphError", "call", "member_groups", "page_of_groups", "principal_of"]

_MOST_IDS: Final = 20
_READ_ALL: Final = "Directory.Read.All"
# Each collection requires one of these sets of permissions.
_PERMISSIONS: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "servicePrincipals": (frozenset({"Application.Read.All"}), frozenset({_READ_ALL})),
    "users": (frozenset({"User.Read.All", "GroupMember.Read.All"}), frozenset({_READ_ALL})),
    "directoryObjects": (frozenset({"User.Read.All", "GroupMember.Read.All"}), frozenset({_READ_ALL})),
}
_BY_CLIENT: Final = re.compile(r"appId='(?P<id>[0-9A-Fa-f-]{36})'\Z")
_ONLY_PERSON: Final = (frozenset({"User.Read.All"}), frozenset({_READ_ALL}))


class GraphError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def content(self, request_id: str) -> dict[str, object]:
        inner = {
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
            "request-id": request_id,
            "client-request-id": request_id,
        }
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


@dataclass(frozen=True, slots=True)
class GraphCaller:
    directory: TenantDirectory
    roles: frozenset[str]

    def see(self, collection: str, *, memberships: bool) -> None:
        """Check that the caller's permissions suffice."""
        accepted = _PERMISSIONS[collection]
        if collection == "users" and not memberships:
            accepted = _ONLY_PERSON
        if not any(each <= self.roles for each in accepted):
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")

    def find(self, collection: str, oid: str) -> RegisteredPrincipal:
        """A principal of another collection is not found. `appId='...'` names one by its client id."""
        if by_client := _BY_CLIENT.match(oid):
            found = self.directory.client(by_client["id"].lower())
        else:
            found = self.directory.principals.get(oid.lower())
        fits = found is not None and collection in ("directoryObjects", _collection(found))
        if found is None or not fits:
            raise GraphError(
                404,
                "Request_ResourceNotFound",
                f"Resource '{_shown(oid)}' does not exist or one of its queried reference-property objects are not"
                " present.",
            )
        return found


def call(cloud: Cloud, authorization: str) -> GraphCaller:
    """The caller with this `Authorization` header. Raises GraphError."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    claims = _verified(cloud, token)
    audience = str(claims.get("aud", "")).rstrip("/")
    if audience not in GRAPH_AUDIENCES | cloud.bases:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.")
    ends = claims.get("exp")
    if not isinstance(ends, int) or ends <= cloud.now().timestamp():
        raise GraphError(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
    directory = cloud.tenants.get(str(claims.get("tid")))
    if directory is None or claims.get("iss") != cloud.issuer.name(directory.tenant, 1):
        raise GraphError(401, "InvalidAuthenticationToken", "Access token validation failure. Invalid issuer.")
    roles = claims.get("roles", [])
    return GraphCaller(directory, frozenset(roles if isinstance(roles, list) else ()))


def member_groups(
    caller: GraphCaller, collection: str, oid: str, body: object, *, checked: bool
) -> dict[str, object]:
    """`checkMemberGroups` for the ids in the body; with `checked` False all groups, for `getMemberObjects`."""
    wanted = _ids(body) if checked else None
    if wanted is None and not (isinstance(body, dict) and isinstance(body.get("securityEnabledOnly"), bool)):
        raise GraphError(400, "Request_BadRequest", "The parameter securityEnabledOnly is missing.")
    caller.see(collection, memberships=checked)
    principal = caller.find(collection, oid)
    groups = caller.directory.groups_of(principal.oid)
    if wanted is not None:
        groups = [group for group in wanted if group.lower() in groups]
    return {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)", "value": groups}


def principal_of(caller: GraphCaller, collection: str, oid: str, select: str | None) -> dict[str, object]:
    """The object itself, which shows whether it exists and is enabled."""
    caller.see(collection, memberships=False)
    principal = caller.find(collection, oid)
    person = principal.kind.person
    whole: dict[str, object] = {
        "id": principal.oid,
        "accountEnabled": principal.enabled,
        "displayName": principal.display,
    }
    whole |= {"userPrincipalName": principal.upn} if person else {"appId": principal.client_id}
    named = "users" if person else "servicePrincipals"
    if collection == "servicePrincipals":
        agent = principal.kind is PrincipalKind.AGENT
        whole["servicePrincipalType"] = "ServiceIdentity" if agent else "Application"
        if agent:
            whole["@odata.type"] = "#microsoft.graph.agentIdentity"
    if collection == "directoryObjects":
        whole["@odata.type"] = f"#microsoft.graph.{named.removesuffix('s')}"
    if select:
        names = {name.strip() for name in select.split(",")}
        whole = {name: value for name, value in whole.items() if name in names or name.startswith("@")}
    return {"@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{named}/$entity", **whole}


def page_of_groups(
    caller: GraphCaller, collection: str, oid: str, query: Mapping[str, str], place: str
) -> dict[str, object]:
    """`transitiveMemberOf`, page by page. `place` is the request's address without its query."""
    caller.see(collection, memberships=False)
    principal = caller.find(collection, oid)
    size, start = _number(query.get("$top", "100")), _number(query.get("$skiptoken", "0"))
    if not 1 <= size <= 999:
        raise GraphError(400, "Request_UnsupportedQuery", "Invalid page size specified. Must be between 1 and 999.")
    groups = caller.directory.groups_of(principal.oid)
    names = caller.directory.names if "GroupMember.Read.All" in caller.roles | _all_of(caller) else {}
    page: dict[str, object] = {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#directoryObjects",
        "value": [
            {"@odata.type": "#microsoft.graph.group", "id": group, "displayName": names.get(group)}
            for group in groups[start : start + size]
        ],
    }
    if start + size < len(groups):
        page["@odata.nextLink"] = f"{place}?$top={size}&$skiptoken={start + size}"
    return page


def _all_of(caller: GraphCaller) -> frozenset[str]:
    return frozenset({"GroupMember.Read.All"}) if _READ_ALL in caller.roles else frozenset()


def _verified(cloud: Cloud, token: str) -> Mapping[str, object]:
    """The claims, if the signature is valid: by the rule for tokens with a `nonce` in the header, or without."""
    refused = GraphError(401, "InvalidAuthenticationToken", "Access token validation failure. Invalid signature.")
    try:
        header = jwt.get_unverified_header(token)
        key = next(each for each in cloud.issuer.keys if each.kid == header.get("kid"))
        if "nonce" in header:
            hashed = {**header, "nonce": hashed_nonce(str(header["nonce"]))}
            _, payload, signature = token.split(".")
            token = ".".join((base64url(_compact(hashed)), payload, signature))
        claims: dict[str, object] = jwt.decode(
            token, key.private.public_key(), algorithms=["RS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )  # fmt: skip
    except (jwt.InvalidTokenError, StopIteration, ValueError):
        raise refused from None
    return claims


def _compact(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _collection(principal: RegisteredPrincipal) -> str:
    return "users" if principal.kind.person else "servicePrincipals"


def _ids(body: object) -> list[str]:
    ids = body.get("groupIds") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) and _is_guid(each) for each in ids):
        raise GraphError(400, "Request_BadRequest", "The parameter groupIds is not a collection of ids.")
    if len(ids) > _MOST_IDS:
        raise GraphError(400, "Request_BadRequest", f"The number of ids must not be more than {_MOST_IDS}.")
    return ids


def _is_guid(value: str) -> bool:
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else -1


def _shown(oid: str) -> str:
    return oid if _is_guid(oid) else "?"
