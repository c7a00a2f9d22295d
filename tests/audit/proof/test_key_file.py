from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pgjit.audit.proof.key_file import (
    KeyUnusable,
    _check_rights,
    new_private_key,
    private_key,
    public_pem,
    verifier_key,
)
from tests.audit.proof import vectors
from tests.audit.proof.journals import KEY, ORIGIN


def test_a_new_key_is_for_its_owner_alone_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    key = new_private_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert private_key(path).private_bytes_raw() == key.private_bytes_raw()
    with pytest.raises(FileExistsError):
        new_private_key(path)


@pytest.mark.parametrize("form", ["text", "line in a file", "PEM", "private PEM"])
def test_a_public_key_is_given_in_any_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "key"
    if form == "text":
        assert verifier_key(KEY.text, "any origin") == KEY
        return
    if form == "line in a file":
        path.write_text(KEY.text + "\n")
        assert verifier_key(str(path), "any origin") == KEY
        return
    if form == "PEM":
        path.write_text(public_pem(KEY.public))
        public = KEY.public
    else:
        public = new_private_key(path).public_key().public_bytes_raw()
    assert verifier_key(str(path), ORIGIN) == (ORIGIN, 1, public)


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    new_private_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyUnusable, match="has mode 0640: others may use it; make it 0600"):
        private_key(path)


@pytest.mark.parametrize(
    ("owner", "user", "mode", "most"),
    [
        (0, 10001, 0o440, None),  # as Kubernetes mounts a secret for a user that is not root
        (0, 10001, 0o640, None),
        (0, 10001, 0o644, "0640"),
        (0, 10001, 0o660, "0640"),
        (0, 10001, 0o650, "0640"),
        (0, 0, 0o640, "0600"),
        (10001, 10001, 0o640, "0600"),
        (10002, 10001, 0o640, "0600"),
        (10002, 10001, 0o400, None),
    ],
)
def test_a_key_of_roots_may_be_read_by_a_group(
    monkeypatch: pytest.MonkeyPatch, owner: int, user: int, mode: int, most: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    status = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 10001, 0, 0, 0, 0))
    if most is None:
        _check_rights(Path("key"), status)
    else:
        with pytest.raises(KeyUnusable, match=f"has mode {mode:04o}: others may use it; make it {most}"):
            _check_rights(Path("key"), status)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    with pytest.raises(KeyUnusable, match="is not a private key in PEM"):
        private_key(path)
    with pytest.raises(KeyUnusable, match="the form `name"):
        verifier_key(str(path), ORIGIN)
    path.write_text("-----BEGIN PUBLIC KEY-----\n")
    with pytest.raises(KeyUnusable, match="is not a public key in PEM"):
        verifier_key(str(path), ORIGIN)
    with pytest.raises(KeyUnusable, match="the public key cannot be used: the id of the public key"):
        verifier_key(vectors.LOG_KEY.replace("d65d72e8", "00000000"), ORIGIN)
    with pytest.raises(KeyUnusable, match="is the key of a witness"):
        verifier_key(vectors.WITNESS_KEY, ORIGIN)
    with pytest.raises(FileNotFoundError):
        verifier_key("no such file", ORIGIN)


def test_a_key_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    key = generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyUnusable, match="is not an Ed25519 key"):
        private_key(path)
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(KeyUnusable, match="is not an Ed25519 key"):
        verifier_key(str(path), ORIGIN)
