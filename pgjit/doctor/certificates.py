"""What is wrong with a certificate and its chain, for the clients that check it. Pure.

Decides how long before its end a certificate is a warning, and what a chain has to have. Trusts no authority: whether
clients trust this one is theirs to know.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pgjit.doctor.finding import Finding, Severity

__all__ = ["certificate_findings", "chain_ends", "expiry_finding"]

_WARN_BEFORE = timedelta(days=30)
_LEAST_RSA_BITS = 2048
_RENEW = "Renew it, and reload pgjit."


def certificate_findings(what: str, pem: bytes, now: datetime, *, serves: bool = True) -> Iterator[Finding]:
    """`what`: as people read it, such as `tls.certificate`. `serves`: a server's, which clients check by its name."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError as fault:
        yield _finding(
            Severity.DANGER, "certificate-unreadable", f"{what} cannot be read: {fault}", "no client accepts it"
        )
        return
    leaf = chain[0]
    findings = [each for place, one in enumerate(chain) if (each := expiry_finding(_name(what, place), one, now))]
    findings += _of_leaf(what, leaf, serves=serves)
    findings += _of_chain(what, chain)
    yield from findings
    if not any(each.severity is not Severity.NOTE for each in findings):
        days = (leaf.not_valid_after_utc - now).days
        certificates = f"{len(chain)} certificate{'s' * (len(chain) > 1)}"
        yield _finding(
            Severity.NOTE,
            "certificate",
            f"{what} is valid for {days} days more, in a chain of {certificates}",
            "it is in order",
        )


def chain_ends(pem: bytes) -> datetime | None:
    """When the first of its certificates expires; None if it holds none that can be read."""
    try:
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem))
    except ValueError:
        return None


def expiry_finding(what: str, certificate: x509.Certificate, now: datetime) -> Finding | None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        why = "clients refuse it until then, or the clock of this machine is wrong"
        return _finding(
            Severity.DANGER,
            "certificate-not-yet-valid",
            f"{what} is not valid before {begins:%Y-%m-%d %H:%M} UTC",
            why,
        )
    if now >= ends:
        message = f"{what} expired on {ends:%Y-%m-%d} at {ends:%H:%M} UTC"
        return _finding(Severity.DANGER, "certificate-expired", message, "clients that verify it refuse it", _RENEW)
    if ends - now < _WARN_BEFORE:
        message = f"{what} expires in {(ends - now).days} days, on {ends:%Y-%m-%d}"
        return _finding(
            Severity.WARNING, "certificate-expires", message, "clients that verify it will refuse it", _RENEW
        )
    return None


def _name(what: str, place: int) -> str:
    return what if place == 0 else f"certificate {place + 1} of {what}"


def _of_leaf(what: str, leaf: x509.Certificate, *, serves: bool) -> Iterator[Finding]:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        message = f"{what} has an RSA key of {key.key_size} bits"
        yield _finding(
            Severity.DANGER, "certificate-weak", message, "it can be broken, and many clients refuse it", _RENEW
        )
    if (digest := leaf.signature_hash_algorithm) is not None and digest.name in ("md5", "sha1"):
        message = f"{what} is signed with {digest.name}"
        yield _finding(
            Severity.DANGER, "certificate-weak", message, "it can be forged, and many clients refuse it", _RENEW
        )
    if not serves:
        return
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        why = "clients with channel_binding=require cannot use it"
        yield _finding(Severity.WARNING, "certificate-binding", f"{what} has no hash for channel binding", why)
    if not _names(leaf):
        why = "clients with sslmode=verify-full compare the host with these names; many know no other"
        yield _finding(Severity.WARNING, "certificate-names", f"{what} has no subject alternative name", why, _RENEW)
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
        message = f"{what} is not for servers: its extended key usage lacks serverAuth"
        yield _finding(Severity.DANGER, "certificate-usage", message, "clients that verify it refuse it", _RENEW)


def _names(leaf: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _of_chain(what: str, chain: list[x509.Certificate]) -> Iterator[Finding]:
    for place, (one, issuer) in enumerate(itertools.pairwise(chain)):
        if not _issued_by(one, issuer):
            message = f"{_name(what, place)} was not issued by the one that follows it"
            why = "clients that need the chain cannot follow it to an authority that they trust"
            advice = "Put the server's certificate first, then each issuer after the one that it issued."
            yield _finding(Severity.DANGER, "certificate-chain", message, why, advice)
    last = chain[-1]
    if len(chain) == 1 and last.issuer == last.subject:
        why = "clients have to be given this certificate itself (sslrootcert)"
        yield _finding(Severity.NOTE, "certificate-self-signed", f"{what} is signed by itself", why)


def _issued_by(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not isinstance(issuer.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return one.issuer == issuer.subject  # its signature cannot be checked here
    try:
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _finding(severity: Severity, reference: str, message: str, why: str, advice: str | None = None) -> Finding:
    return Finding(severity=severity, reference=reference, message=message, why=why, advice=advice)
