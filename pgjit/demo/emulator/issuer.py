"""Makes tokens as Entra does, and signs whatever it is given: also what Entra would never sign.

Decides the claims of an app-only v2.0 access token and keeps the signing key. Knows no HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pgjit.demo.emulator.settings import AppCredentials

__all__ = ["ABSENT", "LIFETIME", "Issuer", "SigningKey"]

ABSENT: Final = object()
"""As the value of a claim or a header parameter: leave it out."""

LIFETIME: Final = timedelta(minutes=75)  # Entra takes 60 to 90 minutes at random
_BACKDATED: Final = timedelta(minutes=5)  # as Entra dates `iat` and `nbf`
_MOST_GROUPS: Final = 200  # beyond it a token says where to ask


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    """A throw-away RSA key under the key id that Entra's would have: a thumbprint."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.kid = base64url(hashlib.sha256(der).digest()[:20])

    def published(self, issuer: str) -> dict[str, str]:
        """Its public half as an entry of the key set; Entra gives no `alg` there either."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
            "e": base64url(numbers.e.to_bytes(3)),
            "issuer": issuer,
        }


class Issuer:
    """Signs as one tenant. `name` is what its tokens say in `iss`."""

    def __init__(self, *, tenant: str, audience: str) -> None:
        self.name = ""  # known when it is known where the emulator is reached
        self.tenant = tenant
        self.audience = audience
        self.keys = [SigningKey()]  # the first signs, all are published

    def rotate(self, *, keep_old: bool) -> SigningKey:
        """Sign with a new key; without `keep_old` the old ones are not published any more."""
        self.keys = [SigningKey(), *(self.keys if keep_old else [])]
        return self.keys[0]

    def claims(self, app: AppCredentials, now: datetime) -> dict[str, object]:
        """The claims of an app-only access token for `app`."""
        begins = int((now - _BACKDATED).timestamp())
        claims: dict[str, object] = {
            "aud": self.audience,
            "iss": self.name,
            "iat": begins,
            "nbf": begins,
            "exp": int((now + LIFETIME).timestamp()),
            "aio": base64url(secrets.token_bytes(33)),
            "app_displayname": app.display,
            "azp": app.client_id,
            "azpacr": "1",
            "idtyp": "app",
            "oid": app.oid,
            "rh": f"1.{base64url(secrets.token_bytes(30))}.",
            "sub": app.oid,
            "tid": self.tenant,
            "uti": base64url(secrets.token_bytes(16)),
            "ver": "2.0",
        }
        if len(app.groups) > _MOST_GROUPS:
            place = f"https://graph.windows.net/{self.tenant}/servicePrincipals/{app.oid}/getMemberObjects"
            claims |= {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": place}}}
        elif app.groups:
            claims["groups"] = list(app.groups)
        return claims

    def sign(
        self,
        claims: Mapping[str, object] | bytes,
        header: Mapping[str, object] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A token with exactly these claims. `header` changes the usual one; bytes are taken as they are.

        The signature is RS256 by `key` whatever the header says.
        """
        signing = key or self.keys[0]
        if not isinstance(header, bytes):
            usual: dict[str, object] = {"typ": "JWT", "alg": "RS256", "kid": signing.kid}
            header = _json({**usual, **(header or {})})
        payload = claims if isinstance(claims, bytes) else _json(claims)
        signed = f"{base64url(header)}.{base64url(payload)}"
        return f"{signed}.{base64url(signing.private.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _json(values: Mapping[str, object]) -> bytes:
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return json.dumps(present, separators=(",", ":")).encode()
