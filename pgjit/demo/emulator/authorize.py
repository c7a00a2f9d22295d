"""The authorization code grant with PKCE (RFC 6749, RFC 7636): the page at which a person signs in, and its codes.

Decides which requests get a code, and when a code may be exchanged for a token. The page has a button for each person
of the tenant, and no password. Takes `now`; does not know HTTP.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final
from urllib.parse import urlencode

from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.issuer import base64url
from pgjit.demo.emulator.oauth_error import OAuthError

__all__ = ["AuthorizationCode", "AuthorizationCodes", "AuthorizeRequest", "people_page", "read_request"]

_LIFETIME: Final = timedelta(minutes=10)
_MOST: Final = 10_000
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeRequest:
    """What a client sent a person's browser to the authorization endpoint with."""

    client: RegisteredPrincipal
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    challenge: str | None  # PKCE, S256
    contexts: tuple[str, ...]  # authentication contexts that the person is asked to satisfy
    prompt: str | None
    hint: str | None

    def answer(self, **values: str) -> str:
        """The redirect URI with an answer."""
        given = {**values, **({} if self.state is None else {"state": self.state})}
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(given)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """A code that a person's browser brings to the client. It is used once."""

    request: AuthorizeRequest
    tenant: str
    user: str  # object id
    at: datetime  # of the sign-in

    def check(self, client_id: str, redirect_uri: str, verifier: str | None) -> None:
        """Raises OAuthError if the code is not the client's, or the verifier does not fit."""
        if self.request.client.client_id != client_id or self.request.redirect_uri != redirect_uri:
            raise OAuthError("invalid_grant", 500112, "The code is of another client or another redirect URI.")
        if self.request.challenge is None and verifier is None:
            return
        if verifier is None or not _VERIFIER.match(verifier):
            raise OAuthError("invalid_grant", 501481, "The 'code_verifier' is missing or malformed.")
        made = base64url(hashlib.sha256(verifier.encode()).digest())
        if not secrets.compare_digest(made, self.request.challenge or ""):
            raise OAuthError("invalid_grant", 501481, "The 'code_verifier' does not match the 'code_challenge'.")


class AuthorizationCodes:
    def __init__(self) -> None:
        self._codes: dict[str, AuthorizationCode] = {}

    def issue(self, request: AuthorizeRequest, tenant: str, user: str, now: datetime) -> str:
        self._codes = {name: code for name, code in self._codes.items() if code.at + _LIFETIME > now}
        if len(self._codes) >= _MOST:
            raise OAuthError("temporarily_unavailable", 90033, "Too many codes are waiting.", 503)
        name = f"1.{secrets.token_urlsafe(48)}"
        self._codes[name] = AuthorizationCode(request=request, tenant=tenant, user=user, at=now)
        return name

    def redeem(self, name: str, now: datetime) -> AuthorizationCode:
        """Use a code up, whatever comes of it. Raises OAuthError."""
        code = self._codes.pop(name, None)
        if code is None:
            raise OAuthError("invalid_grant", 54005, "The code is not known, or was used.")
        if code.at + _LIFETIME <= now:
            raise OAuthError("invalid_grant", 70008, "The code is expired.")
        return code


def read_request(directory: TenantDirectory, query: Mapping[str, str]) -> AuthorizeRequest:
    """Raises OAuthError for what Entra shows to the person, because there is nowhere to send the browser to."""
    client = directory.client(query.get("client_id", "").lower())
    if client is None or client.kind is not PrincipalKind.APP:
        raise OAuthError("unauthorized_client", 700016, "Application was not found in the directory.")
    redirect_uri = query.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise OAuthError("invalid_request", 50011, "The redirect URI is not registered for the application.")
    if query.get("response_type") != "code" or query.get("response_mode", "query") != "query":
        raise OAuthError("unsupported_response_type", 700054, "Only 'code' in the query is supported.")
    challenge = query.get("code_challenge")
    if challenge is not None and query.get("code_challenge_method") != "S256":
        raise OAuthError("invalid_request", 501481, "Only the code challenge method 'S256' is supported.")
    if challenge is None and client.public:
        raise OAuthError("invalid_request", 9002325, "Proof Key for Code Exchange is required.")
    return AuthorizeRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=query.get("scope", ""),
        state=query.get("state"),
        nonce=query.get("nonce"),
        challenge=challenge,
        contexts=_contexts(query.get("claims")),
        prompt=query.get("prompt"),
        hint=query.get("login_hint"),
    )


def _contexts(claims: str | None) -> tuple[str, ...]:
    """The values of `acrs` in the parameter `claims` (OpenID Connect, 5.5)."""
    if claims is None:
        return ()
    try:
        acrs = json.loads(claims)["access_token"]["acrs"]
        values = acrs.get("values", [acrs["value"]] if "value" in acrs else [])
        return tuple(str(each) for each in values)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OAuthError("invalid_request", 9002313, "The parameter 'claims' is malformed.") from None


def people_page(directory: TenantDirectory, request: AuthorizeRequest) -> str:
    """The sign-in page: HTML with a form that posts `user` to the address of the page."""
    people = [each for each in directory.principals.values() if each.kind is PrincipalKind.USER and each.enabled]
    people.sort(key=lambda each: (each.upn != request.hint, each.display.lower()))
    buttons = "".join(
        f'<li><button name="user" value="{escape(each.oid)}"><b>{escape(each.display)}</b> '
        f"<span>{escape(each.upn or '')}</span></button></li>"
        for each in people
    )
    step = (
        f"<p>{escape(request.client.display)} asks for the authentication context "
        f"{escape(', '.join(request.contexts))}: signing in here satisfies it.</p>"
        if request.contexts
        else ""
    )
    return _PAGE.format(client=escape(request.client.display), people=buttons or "<li>nobody</li>", step=step)


_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sign in · emulator</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }}
ul {{ list-style: none; padding: 0; }} button {{ font: inherit; width: 100%; text-align: left; margin: .2rem 0;
padding: .6rem .8rem; cursor: pointer; }} button span {{ opacity: .8; }}
</style></head><body><main><h1>Who signs in?</h1>
<p>This stands in for the identity provider: no password is asked. {client} will know who you are.</p>{step}
<form method="post"><ul>{people}</ul>
<button name="user" value="">Cancel</button></form></main></body></html>
"""
