"""Proof: how much of each journal is signed, and a verification of every line with its progress."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from pgjit.console.audit_away import is_away, tried
from pgjit.console.page import TheForm, TheLivePage, ThePage
from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["router"]

router = APIRouter()
_MOST_FINDINGS: Final = 100


@router.get("/proof")
async def proof(page: ThePage) -> Response:
    """What is not known now is said to be unknown, part by part."""
    journals, verification = await asyncio.gather(
        tried(page.api.get("/audit/journals")), tried(page.api.get("/audit/verification"))
    )
    return page.show(
        "proof.html",
        journals=(known := _known(journals)),
        names=[]
        if isinstance(known, ConsoleApiProblem)
        else [(each["origin"], each["origin"]) for each in known["items"]],
        verification=_known(verification),
        percent=_percent(verification),
        most_findings=_MOST_FINDINGS,
    )


@router.post("/proof/verification")
async def verify(page: ThePage, form: TheForm) -> Response:  # noqa: ARG001 - the form is checked
    """Begin a verification; the page shows how far it is. One that runs already is shown as well."""
    try:
        await page.api.post("/audit/verification")
    except ConsoleApiProblem as problem:
        if problem.reference != "verification-running":
            raise
        return page.to("/proof", "A verification is running already.")
    return page.to("/proof", "The verification has begun.")


@router.get("/proof/progress")
async def progress(page: TheLivePage) -> JSONResponse:
    """How far the verification is, for the page that is open."""
    state = await page.api.get("/audit/verification")
    return JSONResponse(
        {"state": state["state"], "read": state["read"], "of": state["of"], "percent": _percent(state)}
    )


def _known(found: dict[str, Any] | ConsoleApiProblem) -> dict[str, Any] | ConsoleApiProblem:
    """The answer, or why it is not known now. Raises ConsoleApiProblem for every other problem."""
    if isinstance(found, ConsoleApiProblem) and not is_away(found):
        raise found
    return found


def _percent(verification: dict[str, Any] | ConsoleApiProblem) -> int:
    if isinstance(verification, ConsoleApiProblem) or not verification["of"]:
        return 0
    return min(100, int(100 * verification["read"] / verification["of"]))
