"""A witness as c2sp.org/tlog-witness describes it, behind a transport of httpx."""

from __future__ import annotations

import base64

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint import Checkpoint, SignedCheckpoint, cosignature_message
from pgjit.audit.proof.note import NoteRejected, NoteSignature, VerifierKey
from pgjit.audit.proof.tree import EMPTY_ROOT, consistency_holds
from tests.audit.proof import vectors

__all__ = ["URL", "WITNESS", "WitnessServer"]

URL = "https://witness.example"
WITNESS = VerifierKey.parse(vectors.WITNESS_KEY)


class WitnessServer:
    def __init__(self, log: VerifierKey) -> None:
        self.seen = Checkpoint(log.name, 0, EMPTY_ROOT)
        self.calls = 0
        self._log = log
        self._private = Ed25519PrivateKey.from_private_bytes(vectors.WITNESS_SEED)

    @property
    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        assert (request.method, str(request.url)) == ("POST", f"{URL}/add-checkpoint")
        head, _, note = request.content.partition(b"\n\n")
        old_line, *lines = head.decode().split("\n")
        old = int(old_line.removeprefix("old "))
        signed = SignedCheckpoint.parse(note)
        checkpoint = signed.checkpoint
        if checkpoint.origin != self._log.name:
            return httpx.Response(404)
        try:
            signed.check_signed([self._log])
        except NoteRejected:
            return httpx.Response(403)
        if old > checkpoint.size:
            return httpx.Response(400)
        if old != self.seen.size:
            return httpx.Response(409, headers={"Content-Type": "text/x.tlog.size"}, text=f"{self.seen.size}\n")
        if old == checkpoint.size and self.seen.root != checkpoint.root:
            return httpx.Response(409)
        proof = list(map(base64.b64decode, lines))
        if not consistency_holds(old, checkpoint.size, self.seen.root, checkpoint.root, proof):
            return httpx.Response(422)
        self.seen = checkpoint
        signature = vectors.COSIGNED_AT.to_bytes(8) + self._private.sign(
            cosignature_message(signed.note.text, vectors.COSIGNED_AT)
        )
        other = NoteSignature("another", b"abcd", b"x" * 72)
        lines = [other.line, NoteSignature(WITNESS.name, WITNESS.key_id, signature).line]
        return httpx.Response(200, text="".join(lines))
