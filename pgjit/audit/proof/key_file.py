"""The files of keys: a private key as PEM, and public keys as PEM or as a line `name+id+key`.

Decides which files are accepted: a private key that others may read is not. One private key may sign several
journals: each is checked with the public key and the journal's own origin as its name.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pgjit.audit.durable_file import sync_folder
from pgjit.audit.proof.note import ED25519, NoteRejected, VerifierKey

__all__ = ["KeyUnusable", "default_key_path", "new_private_key", "private_key", "public_pem", "verifier_key"]

_PEM = "-----BEGIN "


class KeyUnusable(ValueError):
    """A key that cannot be used; the text says which and why. It quotes nothing of a private key."""


def default_key_path(folder: Path, worker: str | None = None) -> Path:
    """Where the key is, if none is configured: beside the journal's folder, because copies of that are given away.

    `worker`: the folder is of several journals, and the key is for that worker's.
    """
    return folder.with_name(f"{folder.name}.key" if worker is None else f"{folder.name}.{worker}.key")


def new_private_key(path: Path) -> Ed25519PrivateKey:
    """Make a key, and write it to a file of mode 0600 that must not exist. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.absolute().parent)
    return key


def private_key(path: Path) -> Ed25519PrivateKey:
    """Raises KeyUnusable and OSError."""
    with path.open("rb") as file:
        if os.name == "posix":
            _check_rights(path, os.fstat(file.fileno()))
        content = file.read()
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(f"`{path}` is not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"private key `{path}` is not an Ed25519 key")
    return key


def _check_rights(path: Path, status: os.stat_result) -> None:
    """As PostgreSQL checks the key of its certificate. Raises KeyUnusable.

    A file of root's may be read by a group: a service that runs under another user gets a mounted secret in this way.
    """
    mode = status.st_mode & 0o777
    of_root = status.st_uid == 0 != os.geteuid()
    if mode & (0o037 if of_root else 0o077):
        most = "0640" if of_root else "0600"
        raise KeyUnusable(f"private key `{path}` has mode {mode:04o}: others may use it; make it {most}")


def public_pem(public: bytes) -> str:
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verifier_key(given: str, origin: str) -> VerifierKey:
    """The public key to check the journal `origin` with, from `name+id+key`, or a file with that or a PEM.

    A private key's file is accepted too, and its public half is taken. Raises KeyUnusable and OSError.
    """
    text, source = given, "the public key"
    if "+" not in given or Path(given).exists():
        path = Path(given)
        source = f"`{path}`"
        text = path.read_text(encoding="utf-8", errors="replace")
    if _PEM in text:
        return VerifierKey.of(origin, _public_of_pem(text.encode(), source))
    try:
        key = VerifierKey.parse(text)
    except NoteRejected as error:
        raise KeyUnusable(f"{source} cannot be used: {error}") from None
    if key.kind != ED25519:
        raise KeyUnusable(f"{source} is the key of a witness, `{key.name}`: it does not sign a journal")
    return key


def _public_of_pem(content: bytes, source: str) -> bytes:
    try:
        if b"PRIVATE" in content:
            private = load_pem_private_key(content, None)
            public = private.public_key()
        else:
            public = load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(f"{source} is not a public key in PEM") from None
    if not isinstance(public, Ed25519PublicKey):
        raise KeyUnusable(f"{source} is not an Ed25519 key")
    return public.public_bytes_raw()
