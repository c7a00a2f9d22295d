from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint import Checkpoint, SignedCheckpoint, cosignature_message, cosigned_at
from pgjit.audit.proof.note import NoteRejected, NoteSignature, VerifierKey
from tests.audit.proof import vectors
from tests.run.rows import table

LOG = VerifierKey.parse(vectors.LOG_KEY)
WITNESS = VerifierKey.parse(vectors.WITNESS_KEY)
CHECKPOINT = Checkpoint(LOG.name, 8, bytes.fromhex(vectors.ROOTS[8]))


def test_the_cosigned_vector_is_made_byte_by_byte() -> None:
    log = Ed25519PrivateKey.from_private_bytes(vectors.LOG_SEED)
    witness = Ed25519PrivateKey.from_private_bytes(vectors.WITNESS_SEED)
    message = cosignature_message(CHECKPOINT.text, vectors.COSIGNED_AT)
    cosignature = vectors.COSIGNED_AT.to_bytes(8) + witness.sign(message)
    made = SignedCheckpoint.of(CHECKPOINT, LOG, log.sign(CHECKPOINT.text.encode()))
    made = made.with_cosignatures([NoteSignature(WITNESS.name, WITNESS.key_id, cosignature)])
    assert made.note.content() == vectors.COSIGNED
    assert sha256(vectors.COSIGNED).hexdigest() == vectors.COSIGNED_SHA256


def test_the_cosigned_vector_is_read() -> None:
    signed = SignedCheckpoint.parse(vectors.COSIGNED)
    assert signed.checkpoint == CHECKPOINT
    signed.check_signed([LOG])
    assert cosigned_at(signed.note.text, signed.note.signatures[1], WITNESS) == datetime(
        2023, 11, 14, 22, 13, 20, tzinfo=UTC
    )


def test_a_checkpoint_of_another_key_is_rejected() -> None:
    other = VerifierKey.of(LOG.name, WITNESS.public)
    with pytest.raises(
        NoteRejected, match=r"not signed by the given key, but by `pgjit.example/journal/w0` \(d65d72e8\)"
    ):
        SignedCheckpoint.parse(vectors.COSIGNED).check_signed([other])
    with pytest.raises(NoteRejected, match="the signature is not that of the key"):
        SignedCheckpoint.of(CHECKPOINT, other, bytes(64))


def test_a_witness_alone_does_not_sign_for_the_log() -> None:
    with pytest.raises(NoteRejected, match="not signed by the given key"):
        SignedCheckpoint.parse(vectors.COSIGNED).check_signed([WITNESS])


@table("change", ["text", "time", "key", "length", "far"])
def test_a_wrong_cosignature_is_rejected(change: str) -> None:
    note = SignedCheckpoint.parse(vectors.COSIGNED).note
    signature, key, text = note.signatures[1], WITNESS, note.text
    if change == "text":
        text = text.replace("\n8\n", "\n7\n")
    elif change == "time":
        signature = signature._replace(signature=bytes(8) + signature.signature[8:])
    elif change == "key":
        key = LOG
    elif change == "length":
        signature = signature._replace(signature=signature.signature[:-1])
    else:
        private = Ed25519PrivateKey.from_private_bytes(vectors.WITNESS_SEED)
        seconds = 2**63
        signed = seconds.to_bytes(8) + private.sign(cosignature_message(text, seconds))
        signature = signature._replace(signature=signed)
    with pytest.raises(NoteRejected, match="cosignature"):
        cosigned_at(text, signature, key)


def test_extension_lines_are_kept_and_signed() -> None:
    extended = CHECKPOINT._replace(extensions=("one", "two"))
    assert Checkpoint.parse(extended.text) == extended
    assert extended.text.endswith("\none\ntwo\n")


@table(
    "text, reason",
    [
        ("origin\n8\n", "needs an origin"),
        ("origin\n8\nXcna\n\n", "needs an origin"),
        ("origin\n8\nXcna", "needs an origin"),
        ("\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n", "needs an origin"),
        ("origin\n08\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n", "not the size"),
        ("origin\n-1\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n", "not the size"),
        ("origin\n٨\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n", "not the size"),
        ("origin\n8\nXcna\n", "not the base64"),
        ("origin\n8\n!\n", "not the base64"),
    ],
)
def test_what_is_no_checkpoint_is_rejected(text: str, reason: str) -> None:
    with pytest.raises(NoteRejected, match=reason):
        Checkpoint.parse(text)
