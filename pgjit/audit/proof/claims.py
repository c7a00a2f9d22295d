"""The checkpoints that a verification compares with: those of this journal, signed by a given key.

Decides which are rejected. A checkpoint beside the segments whose root is the right one needs no signature, because
it adds nothing; so signatures are checked of those that differ, of the newest, and of all that were kept elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from pgjit.audit.proof.checkpoint import SignedCheckpoint, cosigned_at
from pgjit.audit.proof.finding import ProofFinding
from pgjit.audit.proof.note import NoteRejected, VerifierKey

__all__ = ["Claim", "Claims", "Witnessed"]

_MOST_FINDINGS = 20


class Claim(NamedTuple):
    place: str
    signed: SignedCheckpoint


class Witnessed(NamedTuple):
    """At that time, no larger tree than this had been shown to the witness, and it extends all that were."""

    name: str
    size: int
    at: datetime


class Claims:
    def __init__(self, origin: str, keys: Sequence[VerifierKey]) -> None:
        self.origin = origin
        self.findings: list[ProofFinding] = []
        self._keys = [key for key in keys if key.name == origin]
        self._by_size: dict[int, list[Claim]] = defaultdict(list)
        self._checked: dict[str, bool] = {}

    def add(self, checkpoints: Iterable[tuple[str, SignedCheckpoint | NoteRejected]], *, every: bool) -> None:
        """`every`: the signature of each is checked at once, not only that of the last."""
        last: Claim | None = None
        for place, signed in checkpoints:
            if isinstance(signed, NoteRejected):
                self._reject(place, str(signed))
            elif (other := signed.checkpoint.origin) != self.origin:
                self._find(ProofFinding("other-origin", f"{place} is of the journal `{other}`, not `{self.origin}`"))
            else:
                claim = Claim(place, signed)
                if not every or self.holds(claim):
                    self._by_size[signed.checkpoint.size].append(claim)
                    last = claim if last is None or signed.checkpoint.size >= last.signed.checkpoint.size else last
        if last is not None:
            self.holds(last)

    @property
    def sizes(self) -> list[int]:
        return sorted(self._by_size)

    @property
    def roots(self) -> dict[int, bytes]:
        """The signed root of each size. Checks signatures."""
        return {
            size: claim.signed.checkpoint.root
            for size, claims in self._by_size.items()
            for claim in claims
            if self.holds(claim)
        }

    @property
    def largest(self) -> Claim | None:
        for size in reversed(self.sizes):
            for claim in self._by_size[size]:
                if self.holds(claim):
                    return claim
        return None

    def witnessed(self, witness: VerifierKey) -> Witnessed | None:
        """The largest checkpoint that this witness signed; None, and a finding, if there is none."""
        for size in reversed(self.sizes):
            for claim in self._by_size[size]:
                for signature in claim.signed.note.signatures:
                    if (signature.name, signature.key_id) != (witness.name, witness.key_id):
                        continue
                    try:
                        at = cosigned_at(claim.signed.note.text, signature, witness)
                    except NoteRejected as error:
                        self._reject(claim.place, str(error))
                    else:
                        return Witnessed(witness.name, size, at)
        self._find(ProofFinding("not-witnessed", f"no checkpoint is signed by the witness `{witness.name}`"))
        return None

    def of_size(self, size: int) -> list[Claim]:
        return self._by_size.get(size, [])

    def holds(self, claim: Claim) -> bool:
        """Whether one of the keys signed it. If not, that is a finding."""
        if (known := self._checked.get(claim.place)) is not None:
            return known
        try:
            claim.signed.check_signed(self._keys)
        except NoteRejected as error:
            self._reject(claim.place, str(error))
            self._checked[claim.place] = False
            return False
        self._checked[claim.place] = True
        return True

    def _reject(self, place: str, why: str) -> None:
        self._find(ProofFinding("checkpoint-rejected", f"{place} is rejected: {why}"))

    def _find(self, finding: ProofFinding) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)
