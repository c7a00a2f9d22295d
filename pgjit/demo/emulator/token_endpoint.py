"""The token endpoint: a form in, a token response or an OAuthError out.

Decides what Entra would answer, in its own error numbers. What a token says is claims.py's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pgjit.demo.emulator.assertions import (
    JWT_BEARER,
    agent_path,
    check_certificate_assertion,
    check_federated,
    check_issued,
    check_times,
    unverified,
)
from pgjit.demo.emulator.claims import LIFETIME, TokenSubject, access_claims, id_claims
from pgjit.demo.emulator.cloud import ANY_TENANT, Cloud, RefreshToken
from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.issuer import base64url
from pgjit.demo.emulator.oauth_error import OAuthError
from pgjit.demo.emulator.resource import EXCHANGE, AskedResource, Resource, read_scope

__all__ = ["DEVICE_CODE", "GRANTS", "begin_device_code", "issue_token"]

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_ON_BEHALF_OF: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AGENTS_USER: Final = "user_fic"
GRANTS: Final = (
    "authorization_code", "client_credentials", "refresh_token", DEVICE_CODE, _ON_BEHALF_OF, _AGENTS_USER,
)  # fmt: skip

Form = Mapping[str, str]


def issue_token(cloud: Cloud, tenant: str, form: Form, *, version: int = 2) -> dict[str, object]:
    """The response to `form` at `tenant`; for people it may be `common`. Version 1 uses `resource` for `scope`."""
    if tenant not in ANY_TENANT:
        cloud.directory(tenant)
    if version == 1 and form.get("resource"):
        form = {**form, "scope": f"{form['resource'].rstrip('/')}/.default"}
    grant = _needed(form, "grant_type")
    _needed(form, "client_id")
    if grant not in GRANTS:
        raise OAuthError("unsupported_grant_type", 70003, "The grant type is not supported.")
    if grant not in (DEVICE_CODE, "refresh_token", "authorization_code"):
        _needed(form, "scope")
        if tenant in ANY_TENANT:
            raise OAuthError("invalid_request", 50059, "No tenant-identifying information found in the request.")
    match grant:
        case "client_credentials":
            answer = _client_credentials(cloud, tenant, form)
        case "refresh_token":
            answer = _refresh(cloud, tenant, form)
        case "authorization_code":
            answer = _authorization_code(cloud, tenant, form)
        case _ if grant == DEVICE_CODE:
            answer = _device_code(cloud, tenant, form)
        case _ if grant == _AGENTS_USER:
            answer = _agents_user(cloud, tenant, form)
        case _:
            answer = _on_behalf_of(cloud, tenant, form)
    if version == 1:
        ends = int((cloud.now() + LIFETIME).timestamp())
        answer |= {"expires_in": str(answer["expires_in"]), "expires_on": str(ends), "resource": form.get("resource")}
    return answer


def begin_device_code(cloud: Cloud, tenant: str, form: Form, base: str) -> dict[str, object]:
    directory = cloud.directory(cloud.home if tenant in ANY_TENANT else tenant)
    client = _client(directory, _needed(form, "client_id"))
    scope = _needed(form, "scope")
    read_scope(scope, cloud.api, directory, graph=cloud.bases)
    code = cloud.codes.begin(str(client.client_id), tenant, scope, cloud.now())
    place = f"{base}/common/oauth2/deviceauth"
    return {
        "user_code": code.user_code,
        "device_code": code.device_code,
        "verification_uri": place,
        "expires_in": int((code.ends_at - cloud.now()).total_seconds()),
        "interval": cloud.codes.interval,
        "message": f"To sign in, open the page {place} and enter the code {code.user_code}.",
    }


# --- grants ------------------------------------------------------------------------------------------------


def _client_credentials(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    directory = cloud.directory(tenant)
    client = _client(directory, form["client_id"])
    credential = _authenticate(cloud, directory, tenant, client, form)
    asked = read_scope(form["scope"], cloud.api, directory, graph=cloud.bases, app_only=True)
    if asked.resource is Resource.EXCHANGE:
        return _answer(_exchange_token(cloud, directory, client, credential, form.get("fmi_path")))
    if client.kind is PrincipalKind.BLUEPRINT:
        raise OAuthError(
            "unauthorized_client", 82001, "A blueprint gets tokens for its agents only: give `fmi_path`."
        )
    if asked.resource is Resource.API and cloud.api.assignment_required and not client.roles:
        raise OAuthError("invalid_grant", 501051, "The application is not assigned to a role for the resource.")
    return _answer(cloud.access_token(TokenSubject(client, client, credential), asked, directory))


def _exchange_token(
    cloud: Cloud, directory: TenantDirectory, client: RegisteredPrincipal, credential: str, path: str | None
) -> str:
    """A token that will be sent as an assertion: an agent's first one, with `fmi_path`, or any app's own."""
    asked = AskedResource(Resource.EXCHANGE, EXCHANGE)
    subject = client.oid
    if path is not None:
        agent = directory.client(path)
        if client.kind is not PrincipalKind.BLUEPRINT or agent is None or agent.parent != client.client_id:
            raise OAuthError("invalid_request", 82002, "`fmi_path` must name an agent of this blueprint.")
        parts = (base64url(each.encode()) for each in (directory.tenant, str(client.client_id)))
        subject = f"/eid1/c/pub/t/{next(parts)}/a/{next(parts)}/{path}"
    claims = access_claims(
        TokenSubject(client, client, credential), asked, cloud.api, directory, cloud.issuer, cloud.now()
    )
    return cloud.issuer.sign({**claims, "sub": subject, "idtyp": "app"})


def _device_code(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    home = cloud.directory(cloud.home if tenant in ANY_TENANT else tenant)
    client = _client(home, form["client_id"])
    credential = _authenticate(cloud, home, tenant, client, form)
    code = cloud.codes.redeem(_needed(form, "device_code"), form["client_id"], cloud.now())
    assert code.user is not None
    return _for_person(cloud, tenant, client, credential, code.user, code.scope)


def _authorization_code(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    code = cloud.authorization_codes.redeem(_needed(form, "code"), cloud.now())
    directory = cloud.directory(code.tenant)
    client = _client(directory, form["client_id"])
    credential = _authenticate(cloud, directory, tenant, client, form)
    code.check(form["client_id"].lower(), _needed(form, "redirect_uri"), form.get("code_verifier"))
    signed_in = _SignIn(code.at, code.request.contexts, code.request.nonce)
    return _for_person(cloud, code.tenant, client, credential, code.user, code.request.scope, signed_in)


def _refresh(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    kept = cloud.refresh_tokens.get(_needed(form, "refresh_token"))
    if kept is None or kept.client_id != form["client_id"]:
        raise OAuthError("invalid_grant", 9002313, "The refresh token is malformed or not of this client.")
    directory = cloud.directory(kept.tenant)
    client = _client(directory, kept.client_id)
    credential = _authenticate(cloud, directory, tenant, client, form)
    signed_in = _SignIn(kept.signed_in_at, kept.contexts)
    scope = form.get("scope") or kept.scope
    return _for_person(cloud, kept.tenant, client, credential, kept.user, scope, signed_in)


def _agents_user(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    """The third step of an agent's user: the agent authenticates with a token for a token exchange."""
    directory = cloud.directory(tenant)
    client = _client(directory, form["client_id"])
    if client.kind is not PrincipalKind.AGENT:
        raise OAuthError("unauthorized_client", 82003, "Only an agent gets tokens of its user.")
    _authenticate(cloud, directory, tenant, client, form)
    proof = _needed(form, "user_federated_identity_credential")
    check_issued(proof, cloud.issuer)
    _, claims = unverified(proof)
    check_times(claims, cloud.now())
    if claims.get("aud") != EXCHANGE or claims.get("azp") != client.client_id or claims.get("sub") != client.oid:
        raise OAuthError(
            "invalid_grant", 50013, "The user's credential is not a token of this agent for an exchange."
        )
    name = form.get("user_id") or _needed(form, "username")
    user = directory.user(name)
    if user is None or user.kind is not PrincipalKind.AGENT_USER or user.parent != client.client_id:
        raise OAuthError("invalid_grant", 50034, "The agent has no such user.")
    return _for_person(cloud, tenant, client, "2", user.oid, form["scope"])


def _on_behalf_of(cloud: Cloud, tenant: str, form: Form) -> dict[str, object]:
    """An agent acts for a person, whose token is for the agent's blueprint."""
    directory = cloud.directory(tenant)
    client = _client(directory, form["client_id"])
    credential = _authenticate(cloud, directory, tenant, client, form)
    if form.get("requested_token_use") != "on_behalf_of":
        raise OAuthError("invalid_request", 900144, "The request body must contain 'requested_token_use'.")
    assertion = _needed(form, "assertion")
    check_issued(assertion, cloud.issuer)
    _, claims = unverified(assertion)
    check_times(claims, cloud.now())
    meant = client.parent if client.kind is PrincipalKind.AGENT else client.client_id
    if claims.get("aud") != meant or "scp" not in claims or claims.get("tid") != directory.tenant:
        raise OAuthError("invalid_grant", 50013, "The assertion is not a person's token for this client.")
    return _for_person(cloud, tenant, client, credential, str(claims.get("oid")), form["scope"])


@dataclass(frozen=True, slots=True)
class _SignIn:
    """A sign-in at the page of `authorize.py`; `at` is None for a person who did not come there."""

    at: datetime | None = None
    contexts: tuple[str, ...] = ()
    nonce: str | None = None


def _for_person(
    cloud: Cloud,
    tenant: str,
    client: RegisteredPrincipal,
    credential: str,
    user: str,
    scope: str,
    signed_in: _SignIn = _SignIn(),
) -> dict[str, object]:
    directory, person = _find_person(cloud, tenant, user)
    _see_enabled(person)
    asked = read_scope(scope, cloud.api, directory, graph=cloud.bases)
    assigned = person.roles or set(directory.direct_groups_of(person.oid)) & cloud.api.assigned_groups
    if asked.resource is Resource.API and cloud.api.assignment_required and not assigned:
        raise OAuthError("invalid_grant", 50105, "The person is not assigned to a role for the application.")
    subject = TokenSubject(person, client, credential, signed_in.at, signed_in.contexts)
    answer = _answer(cloud.access_token(subject, asked, directory))
    identifiers = json.dumps({"uid": person.oid, "utid": directory.tenant}).encode()
    answer |= {"scope": scope, "client_info": base64url(identifiers)}
    if "openid" in asked.oidc:
        answer["id_token"] = cloud.issuer.sign(
            id_claims(subject, directory, cloud.issuer, cloud.now(), signed_in.nonce)
        )
    if "offline_access" in asked.oidc:
        token = f"1.{secrets.token_urlsafe(48)}"
        cloud.refresh_tokens[token] = RefreshToken(
            directory.tenant, str(client.client_id), person.oid, scope, signed_in.at, signed_in.contexts
        )
        answer["refresh_token"] = token
    return answer


def _answer(token: str) -> dict[str, object]:
    lifetime = int(LIFETIME.total_seconds()) - 1
    return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}


# --- the client --------------------------------------------------------------------------------------------


def _needed(form: Form, name: str) -> str:
    if not form.get(name):
        raise OAuthError("invalid_request", 900144, f"The request body must contain '{name}'.")
    return form[name]


def _client(directory: TenantDirectory, client_id: str) -> RegisteredPrincipal:
    found = directory.client(client_id.lower())
    if found is None or found.kind in (PrincipalKind.MANAGED_IDENTITY, PrincipalKind.USER, PrincipalKind.AGENT_USER):
        raise OAuthError("unauthorized_client", 700016, "Application was not found in the directory.")
    return found


def _find_person(cloud: Cloud, tenant: str, user: str) -> tuple[TenantDirectory, RegisteredPrincipal]:
    names = list(cloud.tenants) if tenant in ANY_TENANT else [tenant]
    for name in names:
        directory = cloud.directory(name)
        person = directory.user(user)
        if person is not None:
            return directory, person
    raise OAuthError("invalid_grant", 50034, "The user account does not exist in the directory.")


def _see_enabled(principal: RegisteredPrincipal) -> None:
    if not principal.enabled and principal.kind.person:
        raise OAuthError("invalid_grant", 50057, "The user account is disabled.")
    if not principal.enabled:
        raise OAuthError("unauthorized_client", 7000112, "The application is disabled.")


def _authenticate(
    cloud: Cloud, directory: TenantDirectory, tenant: str, client: RegisteredPrincipal, form: Form
) -> str:
    """How the client authenticated, as a value of `azpacr`. Raises OAuthError."""
    credential = _prove(cloud, directory, tenant, client, form)
    _see_enabled(client)
    return credential


def _prove(cloud: Cloud, directory: TenantDirectory, tenant: str, client: RegisteredPrincipal, form: Form) -> str:
    secret, assertion = form.get("client_secret"), form.get("client_assertion")
    if client.public:
        if secret or assertion:
            raise OAuthError("invalid_client", 700025, "The client is public: it must not give a secret.", 401)
        if form["grant_type"] == "client_credentials":
            raise OAuthError("unauthorized_client", 700025, "The client is public: it has no token of its own.")
        return "0"
    if assertion:
        return _by_assertion(cloud, directory, tenant, client, form)
    if not secret:
        raise OAuthError(
            "invalid_client", 7000218, "The request body must contain 'client_secret' or 'client_assertion'.", 401
        )
    if not client.has_secret(secret):
        raise OAuthError("invalid_client", 7000215, "Invalid client secret provided.", 401)
    return "1"


def _by_assertion(
    cloud: Cloud, directory: TenantDirectory, tenant: str, client: RegisteredPrincipal, form: Form
) -> str:
    if form.get("client_assertion_type") != JWT_BEARER:
        raise OAuthError("invalid_request", 900144, "The request body must contain 'client_assertion_type'.")
    assertion, now = form["client_assertion"], cloud.now()
    if client.kind is PrincipalKind.AGENT:
        blueprint, agent = agent_path(assertion, cloud.issuer, directory.tenant, now)
        if (blueprint, agent) != (client.parent, client.client_id):
            raise OAuthError("invalid_client", 700213, "The assertion is not for this agent.", 401)
        return "2"
    _, claims = unverified(assertion)
    if claims.get("iss") == client.client_id:
        places = ("oauth2/v2.0/token", "oauth2/token", "v2.0")
        audiences = frozenset(f"{base}/{tenant}/{place}" for base in cloud.bases for place in places)
        check_certificate_assertion(assertion, client, audiences, now)
    else:
        check_federated(assertion, client, cloud.issuers(), now)
    return "2"
