"""A process of its own that answers one question about proof: a JSON object on standard input, one on standard
output. `python -m pgjit.audit.proof.proof_program`.

Decides which questions there are. The HTTP API starts it: hashing a journal takes minutes, and no time of the process
that serves sessions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.journal_state import journal_state, segment_bytes
from pgjit.audit.proof.proved_journals import NotProvable, ProvedJournal, journals_with_keys
from pgjit.audit.proof.proving import CannotProve, LineNotSigned, LineUnknown, prove_record
from pgjit.audit.proof.verification import JournalVerification, verify
from pgjit.audit.question_program import Question, answer_question
from pgjit.audit.segments import SegmentDamaged
from pgjit.audit.segments.journal_place import with_archive

__all__ = ["answer_about_proof", "main", "verification_document"]

_NO_KEY: Final = "Name the journal's keys in `journal.checkpoint`, those before a change in `previous_keys`."
_NOT_YET: Final = "A checkpoint is made every few seconds (`journal.checkpoint`): try again in a moment."
_NAMES: Final = "Give the `seq` of a record and its journal, or the id of an execution (SESSION/NUMBER)."

Progress = Callable[[int, int], None]


def answer_about_proof(question: Question, progress: Progress = lambda _done, _whole: None) -> dict[str, Any]:
    """The answer, or `fault` with the members of an error. Raises OSError.

    `folders`, `archive` and `beside` say where the journals are, `keys` with what they are checked.
    """
    try:
        missing: list[str] = []
        archive, beside = question.get("archive"), Path(question["beside"])
        places = [
            place for each in question["folders"] for place in with_archive(Path(each), archive, beside, missing)
        ]
        return {**_answer(question, journals_with_keys(places, question["keys"]), progress), "notices": missing}
    except NotProvable as fault:
        return _fault("journal cannot be checked", "proof-unavailable", 503, str(fault), _NO_KEY)
    except OSError as fault:
        return _fault("journal cannot be read", "proof-unavailable", 503, f"{fault.filename}: {fault.strerror}", None)
    except LineUnknown as fault:
        return _fault("record is not in the journal", "record-unknown", 404, str(fault), _NAMES)
    except LineNotSigned as fault:
        return _fault("record cannot be proved yet", "not-signed-yet", 409, str(fault), _NOT_YET)
    except (CannotProve, SegmentDamaged) as fault:
        return _fault("record cannot be proved", "cannot-prove", 409, str(fault), None)


def main() -> int:
    answer_question(answer_about_proof)
    return 0


def _answer(question: Question, journals: list[ProvedJournal], progress: Progress) -> dict[str, Any]:
    match question["ask"]:
        case "journals":
            return {"journals": [journal_state(each) for each in journals]}
        case "verify":
            return {"journals": _verified(journals, progress)}
        case "prove":
            proof = _proof(journals, str(question["record"]), question.get("journal"))
            signed = proof.checkpoint.checkpoint
            return {"origin": signed.origin, "size": signed.size, "file": proof.content().decode()}
        case other:
            raise ValueError(f"no question is called {other!r}")


def _verified(journals: list[ProvedJournal], progress: Progress) -> list[dict[str, Any]]:
    """One process: the machine has sessions to serve. The journals count as one piece of work."""
    sizes = [sum(map(segment_bytes, each.files.segments)) for each in journals]
    found, before = [], 0
    for journal, size in zip(journals, sizes, strict=True):
        begun = before

        def report(done: int, _whole: int, begun: int = begun, most: int = before + size) -> None:
            progress(min(begun + done, most), sum(sizes))

        result = verify(journal.files, journal.origin, journal.keys, progress=report, processes=1)
        found.append(verification_document(result))
        before += size
    return found


def _proof(journals: list[ProvedJournal], record: str, name: str | None) -> InclusionFile:
    """`name`: the journal that the number of a record is of. An execution is in one of them."""
    chosen = [each for each in journals if name in (None, each.origin)]
    if not chosen:
        raise LineUnknown(
            f"there is no journal `{name}` here: they are {', '.join(each.origin for each in journals)}"
        )
    if len(chosen) > 1 and "/" not in record:
        raise CannotProve("the numbers of records are of one journal: give `journal`")
    unknown: LineUnknown | None = None
    for journal in chosen:
        try:
            return prove_record(journal.files, record, journal.keys)
        except LineUnknown as fault:
            unknown = fault
    assert unknown is not None
    raise unknown


def verification_document(result: JournalVerification) -> dict[str, Any]:
    return {
        "origin": result.origin,
        "intact": result.intact,
        "lines": result.lines,
        "segments": result.segments,
        "removed": result.removed,
        "checkpoints": result.checkpoints,
        "signed": result.signed,
        "witnessed": [
            {"name": each.name, "size": each.size, "time": each.at.isoformat()} for each in result.witnessed
        ],
        "findings": [
            {
                "kind": finding.kind,
                "message": finding.message,
                "segment": finding.segment,
                "line": finding.line,
                "seq": finding.seq,
            }
            for finding in result.findings
        ],
    }


def _fault(message: str, reference: str, status: int, detail: str, hint: str | None) -> dict[str, Any]:
    return {"fault": {"message": message, "reference": reference, "status": status, "detail": detail, "hint": hint}}


if __name__ == "__main__":
    sys.exit(main())
