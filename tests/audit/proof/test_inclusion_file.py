from __future__ import annotations

import pytest

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from tests.audit.proof import vectors
from tests.run.rows import table

LOG = VerifierKey.parse(vectors.LOG_KEY)
PROOF = InclusionFile(
    vectors.LEAVES[5],
    5,
    tuple(map(bytes.fromhex, vectors.INCLUSION_OF_5_IN_8)),
    SignedCheckpoint.parse(vectors.COSIGNED),
)
CONTENT = PROOF.content()


def test_it_holds_its_line_and_needs_only_the_public_key() -> None:
    read = InclusionFile.parse(CONTENT)
    assert read == PROOF
    read.check([LOG])
    assert CONTENT.startswith(b"c2sp.org/tlog-proof@v1\nextra QEFCQw==\nindex 5\nvBoGQ7EuTS1")
    assert CONTENT.endswith(vectors.COSIGNED)


@table(
    "changed",
    [
        PROOF._replace(line=b"another"),
        PROOF._replace(line_index=4),
        PROOF._replace(line_index=8),
        PROOF._replace(proof=PROOF.proof[:-1]),
        PROOF._replace(proof=PROOF.proof[::-1]),
    ],
)
def test_a_changed_proof_does_not_hold(changed: InclusionFile) -> None:
    with pytest.raises(NoteRejected, match="the signed tree of 8 lines does not have this line at index"):
        InclusionFile.parse(changed.content()).check([LOG])


def test_a_proof_of_another_key_does_not_hold() -> None:
    with pytest.raises(NoteRejected, match="not signed by the given key"):
        PROOF.check([VerifierKey.of("another", LOG.public)])


@table(
    "old, new, reason",
    [
        (b"@v1", b"@v2", "its first line is not"),
        (b"extra QEFCQw==\n", b"", "does not contain the line"),
        (b"QEFCQw==", b"!", "not base64"),
        (b"index 5", b"index 05", "the index of its line"),
        (b"index 5", b"index", "the index of its line"),
        (b"vBoGQ7Eu", b"vBoG", "not a SHA-256 hash"),
        (b"\n\npgjit", b"\npgjit", "not"),
        (b"c2sp", b"\xff", "its first line is not"),
    ],
)
def test_what_is_no_proof_is_rejected(old: bytes, new: bytes, reason: str) -> None:
    with pytest.raises(NoteRejected, match=reason):
        InclusionFile.parse(CONTENT.replace(old, new, 1))


def test_too_many_hashes_are_rejected() -> None:
    with pytest.raises(NoteRejected, match="too many"):
        InclusionFile.parse(PROOF._replace(proof=PROOF.proof * 22).content())
