"""`audit/journals`, `audit/verification`, `audit/proof`: whether the journals of this node are as they were written.

Decides what a call gets. Who asks for a state or a proof, or begins a verification, is in the journal before it.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from pgjit.api.caller import CallerRole
from pgjit.api.journal_proofs import JournalProofs
from pgjit.api.refusals import CallRefused
from pgjit.api.services import ApiServices, TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["proof"])
_ROLES: Final = (CallerRole.AUDITOR, CallerRole.ADMIN)
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")

Record = Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+(/[0-9]+)?$")]
JournalName = Annotated[str | None, Query(min_length=1, max_length=512)]


class JournalStateJson(BaseModel):
    """`lines`: of the whole journal, `removed` of them by retention. `signed`: how many the newest checkpoint covers;
    `signed_at`: when it was written, by this machine's clock. `keys`: public keys of the configuration. `fault`: why
    the newest checkpoint does not count, or what is wrong with the last segment.
    """

    origin: str
    segments: int
    bytes: int
    lines: int
    removed: int
    first_at: datetime | None
    last_at: datetime | None
    signed: int
    unsigned: int
    signed_at: datetime | None
    witnesses: list[str]
    keys: list[str]
    fault: str | None


class JournalsJson(BaseModel):
    """The journals of `node`. `notices`: which copies could not be looked into."""

    node: str
    items: list[JournalStateJson]
    notices: list[str]


class VerificationJson(BaseModel):
    """`state`: `none`, `running`, `done`, `failed`, `interrupted`. `read` and `of`: bytes. `journals`: a result for
    each, as `pgjit audit verify --json` has it."""

    node: str
    state: str
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    by: str | None = None
    read: int = 0
    of: int = 0
    journals: list[dict[str, Any]] = []
    notices: list[str] = []
    fault: str | None = None


@router.get("/audit/journals")
async def journals(call: TheCall, services: TheServices) -> JournalsJson:
    """The journals of this node: their size, and how much of them is signed."""
    role = call.require(*_ROLES)
    proofs = _proofs(services)
    await call.record(role)
    async with call.turn():
        found = await proofs.journals()
    return JournalsJson(node=services.node, items=found["journals"], notices=found["notices"])


@router.get("/audit/verification")
async def verification(call: TheCall, services: TheServices) -> VerificationJson:
    """The latest verification of this node's journals, or how far it is. It has no text of a record."""
    call.require(*_ROLES)
    return VerificationJson(node=services.node, **await _proofs(services).verification())


@router.post("/audit/verification", status_code=202, response_model=VerificationJson)
async def verify(call: TheCall, services: TheServices) -> JSONResponse:
    """Begin to read and hash every line, and to compare them with the signed checkpoints. One runs at a time."""
    role = call.require(*_ROLES)
    proofs = _proofs(services)

    async def action() -> VerificationJson:
        begun = await proofs.begin(call.caller.identity.display)
        return VerificationJson(node=services.node, **begun)

    return await call.change(role, "verification", action, status=202)


@router.get("/audit/proof", response_class=Response)
async def proof(call: TheCall, services: TheServices, record: Record, journal: JournalName = None) -> Response:
    """The proof of one record, as a file (c2sp.org/tlog-proof) that the public key alone checks.

    `record`: its `seq`, with the name of its journal where the node has several; or the id of an execution.
    """
    role = call.require(*_ROLES)
    proofs = _proofs(services)
    await call.record(role, json.dumps({"record": record, "journal": journal}))
    async with call.turn():
        found = await proofs.prove(record, journal)
    name = _NOT_IN_NAME.sub("-", record)
    headers = {"content-disposition": f'attachment; filename="record-{name}.tlog-proof"'}
    return Response(found["file"], media_type="text/plain; charset=utf-8", headers=headers)


def _proofs(services: ApiServices) -> JournalProofs:
    if services.proofs is None:
        raise CallRefused("this node cannot read its journal", reference="proof-unavailable", status=503)
    return services.proofs
