from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.proof.note import NoteRejected, NoteSignature, SignedNote, VerifierKey
from tests.audit.proof import vectors
from tests.run.rows import table

PRIVATE = Ed25519PrivateKey.from_private_bytes(vectors.LOG_SEED)
KEY = VerifierKey.parse(vectors.LOG_KEY)


def signed(text: str, *names: str) -> SignedNote:
    keys = [VerifierKey.of(name, KEY.public) for name in names or (KEY.name,)]
    signature = PRIVATE.sign(text.encode())
    return SignedNote(text, tuple(NoteSignature(key.name, key.key_id, signature) for key in keys))


@table("key, note", [(vectors.C2SP_KEY, vectors.C2SP_NOTE), (vectors.GO_KEY, vectors.GO_NOTE)])
def test_published_notes_are_signed_by_their_published_keys(key: str, note: str) -> None:
    verifier = VerifierKey.parse(key)
    parsed = SignedNote.parse(note.encode())
    assert parsed.signed_by([verifier]) == (verifier,)
    assert parsed.content() == note.encode()
    assert verifier.text == key


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\n")))
def test_what_is_written_is_read(text: str) -> None:
    note = signed(text + "\n")
    assert SignedNote.parse(note.content()) == note
    assert note.signed_by([KEY]) == (KEY,)


@given(st.binary(max_size=40), st.integers(0, 400))
def test_a_changed_note_is_rejected_or_unsigned(change: bytes, at: int) -> None:
    whole = signed("a text\n").content()
    changed = whole[:at] + change + whole[at + len(change) :]
    try:
        signers = SignedNote.parse(changed).signed_by([KEY])
    except NoteRejected:
        signers = ()
    assert not signers or SignedNote.parse(changed).text == "a text\n"


def test_signatures_of_unknown_keys_are_ignored() -> None:
    note = signed("a text\n", *(f"unknown/{number}" for number in range(15)), KEY.name)
    assert SignedNote.parse(note.content()).signed_by([KEY]) == (KEY,)
    assert note.signed_by([]) == ()


def test_a_wrong_signature_of_a_known_key_rejects_the_note() -> None:
    note = signed("a text\n").with_signatures([NoteSignature(KEY.name, KEY.key_id, bytes(64))])
    with pytest.raises(NoteRejected, match=r"the signature of `pgjit.example/journal/w0` does not hold"):
        note.signed_by([KEY])


@table(
    "content, reason",
    [
        (b"", "no signatures"),
        (b"a text\n", "no signatures"),
        (b"a text\n\n", "no signatures"),
        (b"a text\n\nnot a signature\n", "is not a signature"),
        ("a text\n\n— a AAAAAAAA".encode(), "no signatures"),
        ("a text\n\n— a AAAA\n".encode(), "is not a signature"),
        ("a text\n\n— a+b AAAAAAAA\n".encode(), "is not a signature"),
        ("a text\n\n— a\u2003b AAAAAAAA\n".encode(), "is not a signature"),
        ("a text\n\n— a AAAAAAA\n".encode(), "not base64"),
        ("a\ttext\n\n— a AAAAAAAA\n".encode(), "control characters"),
        ("a text\r\n\n— a AAAAAAAA\n".encode(), "control characters"),
        (b"\xff\n\n", "not UTF-8"),
        (b"a text\n\n" + 65 * "— a AAAAAAAA\n".encode(), "more than 64 signatures"),
        (b"a" * 65537, "more than 65536 bytes"),
    ],
)
def test_what_is_no_note_is_rejected(content: bytes, reason: str) -> None:
    with pytest.raises(NoteRejected, match=reason):
        SignedNote.parse(content)


@table(
    "text, reason",
    [
        ("", "the form"),
        ("name+d65d72e8", "the form"),
        (vectors.LOG_KEY.replace("d65d72e8", "d65d72e9"), "should be `d65d72e8`"),
        (vectors.LOG_KEY.replace("w0+", "w1+"), "should be"),
        ("a b+d65d72e8+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4", "cannot be the name"),
        ("+d65d72e8+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4", "cannot be the name"),
        ("name+d65d72e8+!", "not base64"),
        ("name+d65d72e8+AQOh", "not an Ed25519 key"),
        ("name+d65d72e8+BgOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4", "not an Ed25519 key"),
    ],
)
def test_what_is_no_public_key_is_rejected(text: str, reason: str) -> None:
    with pytest.raises(NoteRejected, match=reason):
        VerifierKey.parse(text)


def test_a_key_that_is_no_point_signs_nothing() -> None:
    assert not VerifierKey.of("name", b"\xff" * 32).signed(b"", bytes(64))
