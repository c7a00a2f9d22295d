"""The proof that one record is genuine: made here, or given by somebody, and checked before anything of it is shown.

Decides what a person sees of a proof, and which key it is checked with: the one that was given, or those that this
node's configuration has for its journal.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response

from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.console.address_query import QueryField, read_address_query
from pgjit.console.audit_away import away_of, is_away
from pgjit.console.page import ConsolePage, TheForm, ThePage
from pgjit.console.refusals import ConsoleApiProblem, FieldFault

__all__ = ["router"]

router = APIRouter()
_FIELDS: Final = {
    "record": QueryField(label="Record", most=200),
    "journal": QueryField(label="Journal", most=512),
}
_MOST_PROOF: Final = 60_000  # characters of a form: the API takes no larger one
_MOST_KEY: Final = 600
_MOST_LINE: Final = 20_000
_NOT_YET: Final = "not-signed-yet"


@router.get("/proof/record")
async def record(page: ThePage) -> Response:
    """The proof of one record, checked: that it is in the journal, exactly as it was written."""
    given = _given(page)
    try:
        stream = await page.api.stream("/audit/proof", given)
        content = b"".join([chunk async for chunk in stream])
    except ConsoleApiProblem as problem:
        if problem.reference != _NOT_YET and not is_away(problem):
            raise
        return away_of(problem, page.show("record-proof.html", status=problem.status, problem=problem, shown=None))
    return page.show(
        "record-proof.html",
        problem=None,
        shown=_shown(content, await _keys(page)),
        query=page.request.url.query,
    )


@router.get("/proof/record/file")
async def record_file(page: ThePage) -> Response:
    """The same as a file, for somebody who has only the public key."""
    return page.file(await page.api.stream("/audit/proof", _given(page)))


@router.get("/proof/check")
async def check_form(page: ThePage) -> Response:
    """The form for a proof that somebody gave."""
    return page.show("check-proof.html", proof="", key="", shown=None)


@router.post("/proof/check")
async def check(page: ThePage, form: TheForm) -> Response:
    """Check a proof that was pasted. The answer that it does not hold is an answer."""
    proof = form.text("proof", most=_MOST_PROOF)
    key = form.get("key", most=_MOST_KEY)
    if key is None:
        keys = await _keys(page)
    else:
        try:
            keys = [VerifierKey.parse(key)]
        except NoteRejected as fault:
            raise FieldFault("key", f"It cannot be used: {fault}. `pgjit audit key` prints it.") from None
    # A form has no line ends around a field; the last line of a proof has one.
    return page.show("check-proof.html", proof=proof, key=key or "", shown=_shown(f"{proof}\n".encode(), keys))


def _given(page: ConsolePage) -> dict[str, str]:
    given = read_address_query(page.request.url.query, _FIELDS).given
    if "record" not in given:
        raise FieldFault("record", "Give the number of a record, or the id of an execution (SESSION/NUMBER).")
    return given


async def _keys(page: ConsolePage) -> list[VerifierKey]:
    """Those of the journals of this node. Raises ConsoleApiProblem."""
    found = await page.api.get("/audit/journals")
    return [VerifierKey.parse(text) for journal in found["items"] for text in journal["keys"]]


def _shown(content: bytes, keys: list[VerifierKey]) -> dict[str, Any]:
    """What the proof shows; `fault`, and nothing of its line, if it does not hold."""
    try:
        proof = InclusionFile.parse(content)
        origin = proof.checkpoint.checkpoint.origin
        own = [key for key in keys if key.name == origin]
        if not own:
            raise NoteRejected(f"there is no key for the journal `{origin}` here: give its public key")
        proof.check(own)
    except NoteRejected as fault:
        return {"fault": str(fault)}
    signed, note = proof.checkpoint.checkpoint, proof.checkpoint.note
    line = proof.line.decode("utf-8", "replace")
    return {
        "fault": None,
        "origin": signed.origin,
        "number": proof.line_index + 1,
        "size": signed.size,
        "root": base64.b64encode(signed.root).decode(),
        "signers": [key.text for key in note.signed_by(own)],
        "signatures": [each.name for each in note.signatures],
        "record": _record(proof.line),
        "line": line[:_MOST_LINE],
        "cut": len(line) > _MOST_LINE,
    }


def _record(line: bytes) -> dict[str, Any]:
    """What a person looks for first, as far as the line has it."""
    try:
        record = orjson.loads(line)
    except ValueError:
        return {}
    names = ("seq", "time", "type", "identity", "policy", "window", "execution", "statement")
    return {
        name: record[name] for name in names if isinstance(record, dict) and isinstance(record.get(name), str | int)
    }
