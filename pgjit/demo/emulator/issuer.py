"""Signs tokens with any claims, also with claims that Entra would never sign.

Decides the issuers' names and which keys are published. claims.py decides the claims. Does not know HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

__all__ = ["ABSENT", "SigningKey", "TokenIssuer", "base64url"]

ABSENT: Final = object()
"""As the value of a claim or header parameter: the token does not have it."""


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SigningKey:
    """A throw-away RSA key in a certificate. As in Entra, its key id is the certificate's thumbprint."""

    def __init__(self) -> None:
        self.private = new_private_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pgjit emulator: for tests only")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=7))
            .sign(self.private, SHA256())
        )
        self.x5c = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
        self.kid = base64url(certificate.fingerprint(SHA1()))  # noqa: S303 - what `x5t` is made of

    def published(self, issuer: str | None) -> dict[str, object]:
        """The public key as an entry of the key set. Entra has no `alg` there, and in version 1 no `issuer`."""
        numbers = self.private.public_key().public_numbers()
        entry: dict[str, object] = {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
            "e": base64url(numbers.e.to_bytes(3)),
            "x5c": [self.x5c],
        }
        return entry if issuer is None else {**entry, "issuer": issuer}


class TokenIssuer:
    """Signs for every tenant with the same keys. As in Entra, tenants differ in `iss` and `tid`."""

    def __init__(self) -> None:
        self.url = ""  # set when the emulator listens
        self.sts = ""  # the same for version 1, which has a host of its own in Entra
        self.keys = [SigningKey()]  # the first signs, all are published

    def name(self, tenant: str, version: int = 2) -> str:
        """The `iss` of tokens of that version."""
        return f"{self.url}/{tenant}/v2.0" if version == 2 else f"{self.sts or self.url}/{tenant}/"

    def rotate(self, *, keep_old: bool) -> SigningKey:
        """Sign with a new key. Without `keep_old` the old keys are no longer published."""
        self.keys = [SigningKey(), *(self.keys if keep_old else [])]
        return self.keys[0]

    def key_set(self, issuer: str | None) -> dict[str, object]:
        return {"keys": [key.published(issuer) for key in self.keys]}

    def sign(
        self,
        claims: Mapping[str, object] | bytes,
        header: Mapping[str, object] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A token with exactly these claims. `header` changes the usual header. Bytes are used unchanged.

        The signature is RS256 by `key` whatever the header says.
        """
        signing = key or self.keys[0]
        if not isinstance(header, bytes):
            usual: dict[str, object] = {"typ": "JWT", "alg": "RS256", "kid": signing.kid}
            if not isinstance(claims, bytes) and claims.get("ver") == "1.0":
                usual["x5t"] = signing.kid
            header = _json({**usual, **(header or {})})
        payload = claims if isinstance(claims, bytes) else _json(claims)
        signed = f"{base64url(header)}.{base64url(payload)}"
        return f"{signed}.{base64url(signing.private.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"

    def sign_for_graph(self, claims: Mapping[str, object]) -> str:
        """Sign as Entra does for Graph: over a hash of the header's `nonce`, so that only Graph can check it."""
        nonce = base64url(secrets.token_bytes(32))
        signing = self.keys[0]
        usual = {"typ": "JWT", "alg": "RS256", "x5t": signing.kid, "kid": signing.kid}
        signature = self.sign(claims, _json({**usual, "nonce": hashed_nonce(nonce)}), signing).rsplit(".", 1)[1]
        return f"{base64url(_json({**usual, 'nonce': nonce}))}.{base64url(_json(claims))}.{signature}"


def hashed_nonce(nonce: str) -> str:
    return base64url(hashlib.sha256(nonce.encode()).digest())


def _json(values: Mapping[str, object]) -> bytes:
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return json.dumps(present, separators=(",", ":")).encode()
