"""What is wrong with a certificate and its chain, before a client says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgjit.doctor.certificates import certificate_findings, chain_ends
from pgjit.doctor.finding import Severity
from tests.run.rows import table

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
SERVER = ec.generate_private_key(ec.SECP256R1())


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(
    subject: str = "db.internal", issuer: str = "CA", key: Key = SERVER, signed_by: Key = AUTHORITY,
    days: float = 365, begins: float = -1, names: bool = True, usage: x509.ObjectIdentifier | None = None,
) -> bytes:  # fmt: skip
    built = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW + timedelta(days=begins))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if names:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    if usage is not None:
        built = built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    digest = None if isinstance(signed_by, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return built.sign(signed_by, digest).public_bytes(Encoding.PEM)


def ca(subject: str = "CA", days: float = 3650) -> bytes:
    return certificate(subject, "CA", AUTHORITY, AUTHORITY, days)


def found(pem: bytes, *, serves: bool = True) -> dict[str, Severity]:
    return {each.reference: each.severity for each in certificate_findings("it", pem, NOW, serves=serves)}


def test_a_good_chain_is_a_note_with_the_days_that_are_left() -> None:
    [finding] = certificate_findings("tls.certificate", certificate() + ca(), NOW)
    assert finding.message == "tls.certificate is valid for 365 days more, in a chain of 2 certificates"


@table(
    ("pem", "reference", "severity"),
    [
        (certificate(days=31), "certificate", "note"),
        (certificate(days=29), "certificate-expires", "warning"),
        (certificate() + ca(days=3), "certificate-expires", "warning"),
        (certificate(days=-0.5), "certificate-expired", "danger"),
        (certificate(begins=0.1), "certificate-not-yet-valid", "danger"),
        (certificate(signed_by=SERVER) + ca(), "certificate-chain", "danger"),
        (ca() + certificate(), "certificate-chain", "danger"),
        (certificate(names=False), "certificate-names", "warning"),
        (certificate(usage=ExtendedKeyUsageOID.CLIENT_AUTH), "certificate-usage", "danger"),
        (certificate(usage=ExtendedKeyUsageOID.SERVER_AUTH), "certificate", "note"),
        (certificate(key=rsa.generate_private_key(65537, 1024)), "certificate-weak", "danger"),
        (certificate(key=ed25519.Ed25519PrivateKey.generate()), "certificate-binding", "warning"),
        (certificate("me", "me", SERVER, SERVER), "certificate-self-signed", "note"),
        (b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", "certificate-unreadable", "danger"),
        (b"", "certificate-unreadable", "danger"),
    ],
)
def test_what_clients_will_refuse_is_found(pem: bytes, reference: str, severity: str) -> None:
    assert found(pem).get(reference) == severity


def test_a_clients_certificate_needs_no_name_and_no_usage_of_servers() -> None:
    pem = certificate(names=False, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert found(pem, serves=False) == {"certificate": Severity.NOTE}


def test_a_chain_ends_with_the_first_of_its_certificates() -> None:
    assert chain_ends(certificate(days=90) + ca(days=30)) == NOW + timedelta(days=30)
    assert chain_ends(certificate(days=20) + ca(days=30)) == NOW + timedelta(days=20)
    assert chain_ends(b"no certificate") is None
