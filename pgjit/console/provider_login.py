"""The authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect), with Authlib, at the identity provider.

Decides what is asked of the provider, and which answers count. Whether the access token is accepted is decided by the
HTTP API. `state`, `nonce` and the code verifier are derived from the secret in the browser's cookie, so nothing is
kept here: the way back may end at another worker, and an answer counts only in the browser in which the flow began.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import httpx
import jwt
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from pgjit.api.console_section import ConsoleSection
from pgjit.console.cookie_secret import CookieSecret, base64url, same
from pgjit.console.refusals import SignInRefused
from pgjit.errors import ServerUnavailable
from pgjit.identity.fetch import PLAIN, AnswerRefused, client_for, fetch_object, read_answer
from pgjit.identity.provider import Discovery
from pgjit.identity.url_checks import url_faults
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["LoginFlow", "ProviderLogin", "ProviderTokens", "TokensRefused"]

_log = logging.getLogger("pgjit.console")
_OIDC_SCOPES: Final = "openid profile offline_access"
_SECONDS: Final = 10.0  # for each call of the provider
_MOST_CODES: Final = 8  # that are redeemed at once: nobody makes this proxy flood the provider
_METADATA_SECONDS: Final = 3600.0
_AGAIN: Final = "Start again from the sign-in page; a sign-in has to be completed within ten minutes, in one browser."


class TokensRefused(Exception):
    """The provider renews these tokens no more: the person has to sign in again."""


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """`refresh` None: the provider gave none. `id_claims`: of the ID token that came with them, if one did."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    id_claims: Mapping[str, object] = field(repr=False, default_factory=dict)


class LoginFlow(Protocol):
    """How a person gets tokens: in three steps, of which the second is at the identity provider."""

    async def address(self, secret: CookieSecret, *, again: bool = False, contexts: tuple[str, ...] = ()) -> str:
        """Where the browser signs in. Raises ServerUnavailable.

        `again`: even if the provider has a session of the person. `contexts`: authentication contexts to satisfy.
        """

    async def redeem(self, secret: CookieSecret, answer: Mapping[str, str]) -> ProviderTokens:
        """The tokens for the provider's answer in the query of the redirect URI.

        Raises SignInRefused, ServerUnavailable.
        """

    async def renew(self, refresh: str) -> ProviderTokens:
        """New tokens. Raises TokensRefused, ServerUnavailable."""


@dataclass(frozen=True, slots=True)
class _Endpoints:
    issuer: str
    authorize: str
    token: str


class ProviderLogin:
    """A LoginFlow at the identity provider that the configuration names."""

    def __init__(
        self,
        section: ConsoleSection,
        discovery: Discovery,
        secret: LoginCredential | None,
        *,
        allow_http: bool = False,
    ) -> None:
        """`discovery`: of the HTTP API's provider. `secret`: of the registration; None for a public client."""
        self._section = section
        self._metadata = discovery.openid_configuration
        scopes = f"{section.scope or discovery.scope} {_OIDC_SCOPES}".split()
        self._scope = " ".join(dict.fromkeys(scopes))  # each once
        self._secret = secret
        self._allow_http = allow_http
        self._known: tuple[_Endpoints, float] | None = None  # with the moment on the monotonic clock
        self._reading = asyncio.Lock()
        self._client_accepted = True
        self._slots = asyncio.Semaphore(_MOST_CODES)

    async def address(self, secret: CookieSecret, *, again: bool = False, contexts: tuple[str, ...] = ()) -> str:
        endpoints = await self._endpoints()
        flow = OAuth2Client(
            None,
            client_id=self._section.client_id,
            scope=self._scope,
            redirect_uri=self._section.redirect_uri,
            code_challenge_method="S256",
        )
        url, _ = flow.create_authorization_url(
            endpoints.authorize,
            state=_state(secret),
            code_verifier=_verifier(secret),
            nonce=_nonce(secret),
            **({"prompt": "login"} if again else {}),
            **({"claims": _claims(contexts), "acr_values": " ".join(contexts)} if contexts else {}),
        )
        return str(url)

    async def redeem(self, secret: CookieSecret, answer: Mapping[str, str]) -> ProviderTokens:
        if not same(answer.get("state", ""), _state(secret)):
            raise SignInRefused("The answer does not belong to a sign-in that this browser began.", hint=_AGAIN)
        endpoints = await self._endpoints()
        if "iss" in answer and answer["iss"] != endpoints.issuer:  # RFC 9207
            raise SignInRefused("The answer is of another issuer than the one that was asked.", hint=_AGAIN)
        if "error" in answer or not answer.get("code"):
            raise SignInRefused(
                f"The identity provider answered `{_name(answer.get('error', 'nothing'))}`.",
                hint="Its sign-in log has the reason. Perhaps you have no access to this application.",
            )
        tokens = await self._fetch(
            endpoints,
            "authorization_code",
            redirect_uri=self._section.redirect_uri,
            code=answer["code"],
            code_verifier=_verifier(secret),
        )
        self._check_id_token(tokens, secret)
        return tokens

    async def renew(self, refresh: str) -> ProviderTokens:
        endpoints = await self._endpoints()
        try:
            tokens = await self._fetch(endpoints, "refresh_token", refresh_token=refresh, scope=self._scope)
        except SignInRefused:
            raise TokensRefused from None
        return ProviderTokens(tokens.access, tokens.refresh or refresh, tokens.id_claims)

    async def _fetch(self, endpoints: _Endpoints, grant: str, **parameters: str) -> ProviderTokens:
        """Raises SignInRefused if the provider refuses, ServerUnavailable if it does not answer as one."""
        client_secret = await self._client_secret()
        parameters["client_id"] = self._section.client_id
        if client_secret is not None:
            parameters["client_secret"] = client_secret
        body = prepare_token_request(grant, **parameters)
        headers = {**PLAIN, "content-type": "application/x-www-form-urlencoded"}
        try:
            # Anybody can bring a code: those who are signed in do not wait behind strangers.
            place = self._slots if grant == "authorization_code" else contextlib.nullcontext()
            async with asyncio.timeout(_SECONDS), place, client_for(endpoints.token) as client:
                request = client.stream("POST", endpoints.token, content=body, headers=headers)
                async with request as response:
                    answer = await read_answer(response)
        except (httpx.HTTPError, AnswerRefused, TimeoutError) as fault:
            raise _unavailable(f"did not answer the token request ({type(fault).__name__})") from None
        if response.status_code == httpx.codes.OK:
            self._note_client(accepted=True)
            return _tokens(answer)
        error = _name(str(answer.get("error", "nothing")))
        if error == "invalid_client":  # not about the person, so their sign-in does not end
            self._note_client(accepted=False)
            raise _unavailable(f"does not accept the console's client id or secret (`{error}`)")
        if response.status_code >= 500 or error in ("temporarily_unavailable", "server_error"):
            raise _unavailable(f"answered the token request with `{error}`")
        raise SignInRefused(f"The identity provider refused the token request: `{error}`.", hint=_AGAIN)

    def _note_client(self, *, accepted: bool) -> None:
        """A refused secret is in the log once, and once more when it is accepted: nobody signs in meanwhile."""
        if not accepted and self._secret is not None:
            self._secret.refused()  # perhaps it was replaced: the next call fetches it again
        if accepted != self._client_accepted:
            self._client_accepted = accepted
            if accepted:
                _log.info("the identity provider accepts the console's client secret again")
            else:
                _log.error("the identity provider refuses the console's client id or secret: nobody can sign in")

    def _check_id_token(self, tokens: ProviderTokens, secret: CookieSecret) -> None:
        """It came from the token endpoint itself, over TLS: its signature adds nothing (OpenID Connect, 3.1.3.7)."""
        claims = tokens.id_claims
        audiences = claims.get("aud")
        named = audiences if isinstance(audiences, list) else [audiences]
        nonce = claims.get("nonce")
        if self._section.client_id not in named or not isinstance(nonce, str) or not same(nonce, _nonce(secret)):
            raise SignInRefused("The ID token is not of the sign-in that this browser began.", hint=_AGAIN)

    async def _client_secret(self) -> str | None:
        if self._secret is None:
            return None
        try:
            return await self._secret.secret()
        except CredentialUnavailable as fault:
            raise _unavailable(f"needs a client secret, which is not available: {fault}") from None

    async def _endpoints(self) -> _Endpoints:
        """The endpoints that the provider's metadata name. Raises ServerUnavailable."""
        async with self._reading:
            if self._known is not None and time.monotonic() - self._known[1] < _METADATA_SECONDS:
                return self._known[0]
            try:
                async with client_for(self._metadata) as client, asyncio.timeout(_SECONDS):
                    found = self._read(await fetch_object(client, httpx.URL(self._metadata)))
            except (httpx.HTTPError, AnswerRefused, TimeoutError) as fault:
                if self._known is not None:
                    return self._known[0]
                raise _unavailable(f"has no metadata that can be read ({type(fault).__name__})") from None
            self._known = (found, time.monotonic())
            return found

    def _read(self, metadata: Mapping[str, object]) -> _Endpoints:
        named = [metadata.get(name) for name in ("issuer", "authorization_endpoint", "token_endpoint")]
        issuer, authorize, token = (each if isinstance(each, str) else "" for each in named)
        for name, url in (("authorization_endpoint", authorize), ("token_endpoint", token)):
            if url_faults(name, url, allow_http=self._allow_http):
                raise AnswerRefused(f"`{name}` is not usable")
        return _Endpoints(issuer, authorize, token)


def _tokens(answer: Mapping[str, object]) -> ProviderTokens:
    access, refresh, id_token = (answer.get(name) for name in ("access_token", "refresh_token", "id_token"))
    if not isinstance(access, str) or not access.isascii():
        raise _unavailable("sent no access token")
    claims: Mapping[str, object] = {}
    if isinstance(id_token, str):
        try:
            claims = jwt.decode(id_token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise _unavailable("sent an ID token that cannot be read") from None
    return ProviderTokens(access, refresh if isinstance(refresh, str) else None, claims)


def _claims(contexts: tuple[str, ...]) -> str:
    """The parameter `claims`, by which Entra is asked for authentication contexts (OpenID Connect, 5.5)."""
    acrs = {"essential": True, **({"value": contexts[0]} if len(contexts) == 1 else {"values": list(contexts)})}
    return json.dumps({"access_token": {"acrs": acrs}}, separators=(",", ":"))


def _state(secret: CookieSecret) -> str:
    return base64url(secret.derived("oauth state"))


def _nonce(secret: CookieSecret) -> str:
    return base64url(secret.derived("oauth nonce"))


def _verifier(secret: CookieSecret) -> str:
    return base64url(secret.derived("pkce code verifier"))


def _name(error: str) -> str:
    """An OAuth error's name. What is no such name is not repeated."""
    return error if len(error) <= 60 and error.replace("_", "").isalnum() and error.isascii() else "unknown"


def _unavailable(what: str) -> ServerUnavailable:
    return ServerUnavailable(
        "identity provider cannot be used now",
        reference="provider-unavailable",
        detail=f"The identity provider {what}.",
        hint="Try again in a moment; the operators of this proxy have to look at its identity provider.",
    )
