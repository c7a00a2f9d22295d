"""Asks a witness to sign a checkpoint (c2sp.org/tlog-witness): it does if the tree extends the last one that it saw.

Decides what is sent, and which answers are accepted. A witness that has seen another size answers 409 with it, and is
asked once more from there.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable

import httpx

from pgjit.audit.proof.checkpoint import SignedCheckpoint, cosigned_at
from pgjit.audit.proof.note import NoteRejected, NoteSignature, SignedNote, VerifierKey

__all__ = ["NotWitnessed", "Witness"]

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n?\Z")
_MOST_BYTES = 64 * 1024
_MOST_HASHES = 63


class NotWitnessed(Exception):
    """The witness did not sign; the text says why, for the operators."""


class Witness:
    def __init__(
        self,
        url: str,
        key: VerifierKey,
        client: httpx.AsyncClient,
        proof: Callable[[int, int], list[bytes]],
    ) -> None:
        """`proof` makes the consistency proof from one size to another. It blocks; raises ValueError and OSError."""
        self.name = key.name
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._key = key
        self._client = client
        self._proof = proof
        self._seen = 0  # the size that the witness signed last, as far as is known

    async def cosign(self, signed: SignedCheckpoint) -> NoteSignature:
        """Raises NotWitnessed."""
        answer = await self._ask(signed, self._seen)
        if answer.status_code == 409 and (size := self._other_size(answer)) != self._seen:
            if size > signed.checkpoint.size:
                raise NotWitnessed(f"it has seen {size} lines, and this journal has {signed.checkpoint.size}")
            answer = await self._ask(signed, size)
        if answer.status_code != 200:
            raise NotWitnessed(_MEANING.get(answer.status_code, f"it answered {answer.status_code}"))
        cosignature = self._own_signature(signed, answer.content)
        self._seen = signed.checkpoint.size
        return cosignature

    async def _ask(self, signed: SignedCheckpoint, old: int) -> httpx.Response:
        size = signed.checkpoint.size
        try:
            proof = await asyncio.to_thread(self._proof, old, size) if 0 < old < size else []
        except (ValueError, OSError) as error:
            raise NotWitnessed(f"no proof from line {old} can be made: {error}") from None
        lines = "".join(f"{base64.b64encode(digest).decode()}\n" for digest in proof[:_MOST_HASHES])
        body = f"old {old}\n{lines}\n".encode() + signed.note.content()
        try:
            async with self._client.stream("POST", self._url, content=body) as response:
                content = b""
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _MOST_BYTES:
                        raise NotWitnessed("its answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise NotWitnessed(f"no answer: {type(error).__name__}") from None
        return httpx.Response(response.status_code, headers=response.headers, content=content)

    def _other_size(self, answer: httpx.Response) -> int:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        match = _SIZE.match(answer.text) if kind == "text/x.tlog.size" else None
        if match is None:
            raise NotWitnessed(_MEANING[409])
        return int(match[1])

    def _own_signature(self, signed: SignedCheckpoint, answer: bytes) -> NoteSignature:
        try:
            note = SignedNote.parse(f"{signed.note.text}\n".encode() + answer)
            for signature in note.signatures:
                if (signature.name, signature.key_id) == (self._key.name, self._key.key_id):
                    cosigned_at(note.text, signature, self._key)
                    return signature
        except NoteRejected as error:
            raise NotWitnessed(f"its answer is rejected: {error}") from None
        raise NotWitnessed("its answer has no signature of its key")


_MEANING = {
    400: "it answered 400: the request is wrong",
    403: "it does not accept the journal's key",
    404: "it does not know the journal's origin",
    409: "it has seen another tree of this journal: two have its origin and key, or it was changed",
    422: "it does not accept the proof that the journal was only extended",
}
