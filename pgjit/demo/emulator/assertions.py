"""Client assertions: signed statements that a client sends in place of a secret.

Decides whether an assertion is valid, with Entra's rules and error numbers: it is signed with the app's certificate
(RFC 7523, `x5t` or `x5t#S256`), it matches a federated credential, or it is the first of an agent's two tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from pgjit.demo.emulator.directory import RegisteredPrincipal
from pgjit.demo.emulator.issuer import TokenIssuer, base64url
from pgjit.demo.emulator.oauth_error import OAuthError
from pgjit.demo.emulator.resource import EXCHANGE

__all__ = ["JWT_BEARER", "agent_path", "check_certificate_assertion", "check_federated", "check_times", "unverified"]

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW: Final = 300
_MAX_BYTES: Final = 32 * 1024
Claims = Mapping[str, object]


def _invalid(number: int, description: str, error: str = "invalid_client") -> OAuthError:
    return OAuthError(error, number, description, 401)


def unverified(assertion: str) -> tuple[Claims, Claims]:
    """Header and claims of an assertion whose signature is not checked."""
    if len(assertion) > _MAX_BYTES:
        raise _invalid(50027, "The assertion is too large.")
    try:
        whole = jwt.decode_complete(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise _invalid(50027, "The assertion is not a JWT.") from None
    return whole["header"], whole["payload"]


def check_certificate_assertion(
    assertion: str, app: RegisteredPrincipal, audiences: frozenset[str], now: datetime
) -> None:
    """Check that `app` signed `assertion` for one of `audiences`.

    The same assertion may be used again while it is good: Entra takes it, and client libraries keep them.
    """
    header, claims = unverified(assertion)
    if header.get("alg") not in ("RS256", "PS256"):
        raise _invalid(50027, "The assertion must be signed by RS256 or PS256.")
    certificate = _named_certificate(header, app)
    if certificate is None:
        raise _invalid(700027, "The certificate with identifier used to sign the client assertion is not registered.")
    _check_signature(assertion, certificate.public_key(), str(header["alg"]))
    if claims.get("iss") != app.client_id or claims.get("sub") != app.client_id:
        raise _invalid(700021, "The assertion's 'iss' and 'sub' must be the client id.")
    if claims.get("aud") not in audiences:
        raise _invalid(700023, "The assertion's audience is not this token endpoint.")
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        raise _invalid(50027, "The assertion must hold a 'jti'.")
    check_times(claims, now)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise _invalid(7000222, "The certificate is expired or not valid yet.")


def check_federated(assertion: str, app: RegisteredPrincipal, keys: Mapping[str, TokenIssuer], now: datetime) -> None:
    """Check that `assertion` matches a federated credential of `app`. `keys` are the known issuers by name."""
    _, claims = unverified(assertion)
    issuer = claims.get("iss")
    fitting = [each for each in app.federated if each.issuer == issuer]
    if not fitting:
        raise _invalid(700211, "No matching federated identity record found for the presented assertion issuer.")
    fitting = [each for each in fitting if each.subject == claims.get("sub")]
    if not fitting:
        raise _invalid(700213, "No matching federated identity record found for the presented assertion subject.")
    if claims.get("aud") not in {each.audience for each in fitting}:
        raise _invalid(700212, "No matching federated identity record found for the presented assertion audience.")
    known = keys.get(str(issuer))
    if known is None:
        raise _invalid(50166, "The issuer of the assertion cannot be reached by this emulator.")
    check_issued(assertion, known)
    check_times(claims, now)


def check_issued(token: str, issuer: TokenIssuer) -> None:
    """Check that one of the issuer's published keys signed `token`."""
    header, _ = unverified(token)
    key = next((each for each in issuer.keys if each.kid == header.get("kid")), None)
    if key is None or header.get("alg") != "RS256":
        raise _invalid(7000272, "The key that signed the assertion is not known.")
    _check_signature(token, key.private.public_key(), "RS256")


def agent_path(assertion: str, issuer: TokenIssuer, tenant: str, now: datetime) -> tuple[str, str]:
    """The two ids in an agent's first token: the blueprint that requested it, and the agent that it is for."""
    _, claims = unverified(assertion)
    path = str(claims.get("sub", "")).rpartition("/")[2]
    if claims.get("iss") != issuer.name(tenant) or claims.get("aud") != EXCHANGE or not path:
        raise _invalid(700211, "The assertion is not a token for a token exchange.")
    check_issued(assertion, issuer)
    check_times(claims, now)
    return str(claims.get("azp")), path


def check_times(claims: Claims, now: datetime) -> None:
    """Check `exp`, which is required, and `nbf`, which is not. Client libraries send fractions of seconds."""
    ends, begins = claims.get("exp"), claims.get("nbf", claims.get("iat", 0))
    at = now.timestamp()
    for moment in (ends, begins):
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            raise _invalid(50027, "The assertion's times are not numbers.")
    assert isinstance(ends, int | float)
    assert isinstance(begins, int | float)
    if not begins - _SKEW <= at <= ends + _SKEW:
        raise _invalid(700024, "The assertion is not within its valid time range.")


def _named_certificate(header: Claims, app: RegisteredPrincipal) -> x509.Certificate | None:
    for name, algorithm in (("x5t#S256", SHA256()), ("x5t", SHA1())):  # noqa: S303 - what `x5t` is made of
        if name in header:
            named = str(header[name]).rstrip("=")  # client libraries keep the padding
            for each in app.certificates:
                if base64url(each.fingerprint(algorithm)) == named:
                    return each
            return None
    return None


def _check_signature(token: str, key: object, algorithm: str) -> None:
    try:
        jwt.PyJWS(algorithms=[algorithm]).decode_complete(token, key, algorithms=[algorithm])  # type: ignore[arg-type]
    except (jwt.InvalidTokenError, TypeError, ValueError):
        raise _invalid(700027, "The signature of the assertion does not hold.") from None
