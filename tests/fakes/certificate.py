"""A certificate of our own, as files."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["certificate"]


def certificate(
    folder: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, now: datetime
) -> tuple[Path, Path]:
    """The files of a self-signed certificate, which is valid a day around `now`, and of its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pgjit")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    paths = folder / "us.crt", folder / "us.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
