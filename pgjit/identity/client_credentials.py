"""pgjit's own access tokens, by the client credentials grant (RFC 6749, 4.4; RFC 7523 for certificates).

Decides the request to the token endpoint, and how long a token is kept. No secret, assertion or token is in any
error, log or `repr`.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pgjit.identity.directory import DirectoryUnavailable
from pgjit.identity.fetch import PLAIN, AnswerRefused, read_answer
from pgjit.single_flight import SingleFlightByKey

__all__ = [
    "ClientCertificate",
    "ClientCredentialsTokens",
    "ClientProof",
    "ClientSecret",
    "FederatedToken",
    "TokenSource",
]

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE: Final = timedelta(minutes=5)
_BEFORE_END: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(hours=24)
_FETCH_SECONDS: Final = 10.0


class ClientProof(Protocol):
    """How pgjit authenticates as a client: by a secret, a certificate or a federated token."""

    def parameters(self, client_id: str, endpoint: str, now: datetime) -> Mapping[str, str]:
        """The form fields that authenticate the client. May read files. Raises OSError or ValueError."""


class TokenSource(Protocol):
    """Where pgjit's own access tokens come from."""

    async def get(self, tenant: str, now: datetime) -> str:
        """A token for `tenant`. Raises DirectoryUnavailable."""

    def drop(self, tenant: str, token: str) -> None:
        """The token was not accepted: forget it, so that the next one is fetched."""

    async def close(self) -> None:
        """Stop the fetches under way."""


class ClientSecret:
    def __init__(self, read: Callable[[], str]) -> None:
        """`read` is called for every token, so that a changed secret is used at once."""
        self._read = read

    def parameters(self, client_id: str, endpoint: str, now: datetime) -> Mapping[str, str]:  # noqa: ARG002 - ClientProof's
        secret = self._read()
        if not secret:
            raise ValueError("the client secret is empty")
        return {"client_secret": secret}


class ClientCertificate:
    """An assertion signed with the key of a certificate that the app registration knows."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key

    def parameters(self, client_id: str, endpoint: str, now: datetime) -> Mapping[str, str]:
        certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        key = load_pem_private_key(self._key.read_bytes(), None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the key is not an RSA key")  # noqa: TRY004 - what the file holds, not a type of ours
        if key.public_key() != certificate.public_key():
            raise ValueError("the key is not the certificate's")
        thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()
        claims = {
            "aud": endpoint,
            "iss": client_id,
            "sub": client_id,
            "jti": str(uuid.uuid4()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFE).timestamp()),
        }
        assertion = jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint})
        return {"client_assertion_type": _ASSERTION, "client_assertion": assertion}


class FederatedToken:
    """A token in a file that the platform writes, by an issuer that the app registration trusts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def parameters(self, client_id: str, endpoint: str, now: datetime) -> Mapping[str, str]:  # noqa: ARG002 - ClientProof's
        token = self._path.read_text("ascii").strip()  # the platform replaces it before it expires
        if not token:
            raise ValueError("the file with the federated token is empty")
        return {"client_assertion_type": _ASSERTION, "client_assertion": token}


class ClientCredentialsTokens:
    """Access tokens for one resource, one for each tenant, kept until shortly before they expire."""

    def __init__(
        self, *, client: httpx.AsyncClient, authority: str, client_id: str, scope: str, proof: ClientProof
    ) -> None:
        self._client = client
        self._authority = authority
        self._client_id = client_id
        self._scope = scope
        self._proof = proof
        self._kept: dict[str, tuple[str, datetime]] = {}
        self._fetching: SingleFlightByKey[str, str] = SingleFlightByKey(
            stopped=lambda: DirectoryUnavailable("pgjit is stopping")
        )

    async def get(self, tenant: str, now: datetime) -> str:
        """A token for `tenant`. Raises DirectoryUnavailable, and what `httpx` and `read_answer` raise."""
        kept = self._kept.get(tenant)
        if kept is not None and now < kept[1]:
            return kept[0]
        return await self._fetching(tenant, lambda: self._renew(tenant, now))

    def drop(self, tenant: str, token: str) -> None:
        """The token was not accepted: forget it, so that the next one is fetched."""
        if self._kept.get(tenant, ("",))[0] == token:
            del self._kept[tenant]

    async def close(self) -> None:
        await self._fetching.close()

    async def _renew(self, tenant: str, now: datetime) -> str:
        async with asyncio.timeout(_FETCH_SECONDS):
            token, lifetime = await self._fetch(tenant, now)
        # Until five minutes before it expires; at least half of a short lifetime.
        self._kept[tenant] = token, now + max(lifetime - _BEFORE_END, lifetime / 2)
        return token

    async def _fetch(self, tenant: str, now: datetime) -> tuple[str, timedelta]:
        endpoint = f"{self._authority}/{tenant}/oauth2/v2.0/token"
        try:
            proof = await asyncio.to_thread(self._proof.parameters, self._client_id, endpoint, now)
        except (OSError, ValueError) as fault:
            raise DirectoryUnavailable(f"our own credential cannot be used: {type(fault).__name__}") from None
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "scope": self._scope, **proof}
        async with self._client.stream(
            "POST", endpoint, data=form, headers=PLAIN, follow_redirects=False
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise DirectoryUnavailable(f"no token for us: {await _refusal(response)}")
            answer = await read_answer(response)
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise DirectoryUnavailable("the token endpoint gave no token")
        if type(seconds) is not int or not 0 < seconds <= _LONGEST.total_seconds():
            raise DirectoryUnavailable("the token endpoint gave a token without a life")
        return token, timedelta(seconds=seconds)


async def _refusal(response: httpx.Response) -> str:
    """The status and OAuth's own name of the error; the description may quote what was sent."""
    try:
        error = (await read_answer(response)).get("error")
    except AnswerRefused:
        error = None
    known = isinstance(error, str) and len(error) <= 64 and error.replace("_", "").isalpha() and error.isascii()
    return f"{response.status_code} {error}" if known else str(response.status_code)
