"""`/requests`: the requests that wait for a verdict, and one request with what a reviewer decides by.

Decides what stands beside a request, and how a cap is written in the form. Whether a verdict counts is the API's
decision: it gets the digest of what the page showed, so that nobody approves what they have not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from pgjit.api.caller import CallerRole
from pgjit.console.form import PageForm
from pgjit.console.known import KnownPart, known
from pgjit.console.page import ConsolePage, TheForm, ThePage
from pgjit.console.refusals import ConsoleApiProblem, FieldFault
from pgjit.console.shown import length_text

__all__ = ["router"]

router = APIRouter()
STATES: Final = ("pending", "approved", "refused", "lapsed", "withdrawn", "used", "all")
CAPS: Final = ("whole", "half", "other")
_SHOWN_AGAIN: Final = (404, 409, 410, 422)
"""A refused verdict with one of these: the request is shown as it is now, with the reason."""
Text = Annotated[str | None, Query(max_length=512)]


@router.get("/requests")
async def inbox(
    page: ThePage, state: Text = None, policy: Text = None, mine: Text = None, cursor: Text = None
) -> Response:
    """The requests in a state, pending ones by default; for reviewers also break-glass windows without a sign-off."""
    chosen = {"state": state or "pending", "policy": policy or None, "mine": "true" if mine else None}
    asked = {**chosen, "state": None if chosen["state"] == "all" else chosen["state"], "cursor": cursor}
    found = await page.api.get("/requests", {**asked, "limit": 50})
    unsigned: KnownPart | None = None
    if cursor is None and page.person.has(CallerRole.REVIEWER, CallerRole.AUDITOR, CallerRole.ADMIN):
        unsigned = await known(page.api.get("/windows", {"unsigned": "true", "state": "ended", "limit": 50}))
    query = urlencode({name: value for name, value in chosen.items() if value is not None})
    return page.show(
        "inbox.html",
        found=found,
        chosen=chosen,
        states=[(each, "approved, and opened" if each == "used" else each) for each in STATES],
        unsigned=unsigned,
        query=query,
        cursor=cursor,
    )


@router.get("/requests/{request_id}")
async def request(page: ThePage, request_id: str, activity: Text = None) -> Response:
    """One request. `activity`: with what ran in the last windows, from the journal, which takes a moment."""
    return await _shown(page, request_id, activity=bool(activity))


@router.post("/requests/{request_id}/approve")
async def approve(page: ThePage, form: TheForm, request_id: str) -> Response:
    """Approve what the form's digest stands for, perhaps for a shorter time."""
    digest, comment = form.line("digest", most=64), form.get("comment", most=1000)
    if form.choice("cap", CAPS) != "other" and form.get("other", most=20) is not None:
        return await _shown(page, request_id, fault=_two_times(), comment=comment)
    return await _decided(
        page, request_id, "approve", {"digest": digest, "comment": comment, "ttl_seconds": _cap(form)}
    )


@router.post("/requests/{request_id}/refuse")
async def refuse(page: ThePage, form: TheForm, request_id: str) -> Response:
    """Refuse what the form's digest stands for. The requester reads the reason."""
    body = {"digest": form.line("digest", most=64), "reason": form.text("reason", most=1000)}
    return await _decided(page, request_id, "refuse", body)


@router.post("/requests/{request_id}/withdraw")
async def withdraw(page: ThePage, form: TheForm, request_id: str) -> Response:
    """Withdraw the own request."""
    return await _decided(page, request_id, "withdraw", {"reason": form.get("reason", most=1000)})


def _two_times() -> ConsoleApiProblem:
    """The refusal of a form with a typed time beside another choice. Neither of the two is guessed."""
    problem = {
        "title": "approval names two times",
        "reference": "cap-ambiguous",
        "detail": "A shorter time was typed, and another time was selected beside it.",
        "hint": "Select the shorter time and type it again, or leave its field empty.",
    }
    return ConsoleApiProblem(400, problem)


def _cap(form: PageForm) -> int | None:
    """The cap in seconds; None for the time that was asked for."""
    asked = form.number("asked", least=1, most=31_536_000)
    match form.choice("cap", CAPS):
        case "whole":
            return None
        case "half":
            if asked is None:
                raise FieldFault("asked", "It must not be empty.")
            return max(1, asked // 2)
        case _:
            cap = form.duration("other", most=31_536_000)
            if cap is None or cap < 1:
                raise FieldFault("other", "Write a length of time such as `10m`.")
            return cap


async def _decided(page: ConsolePage, request_id: str, what: str, body: Mapping[str, object]) -> Response:
    try:
        decided = await page.api.post(f"/requests/{request_id}/{what}", body)
    except ConsoleApiProblem as problem:
        if problem.status not in _SHOWN_AGAIN:
            raise
        return await _shown(page, request_id, fault=problem)
    return page.to(f"/requests/{request_id}", _notice(decided))


def granted_seconds(request: Mapping[str, Any]) -> int:
    """What the window may last: the time asked for, or the least that an approval allows."""
    caps = [int(each["ttl_seconds"]) for each in request["verdicts"] if each["ttl_seconds"] is not None]
    return min([int(request["ttl_seconds"]), *caps])


def _notice(request: dict[str, Any]) -> str:
    approvals = sum(each["verdict"] == "approved" for each in request["verdicts"])
    match request["state"]:
        case "pending":
            return f"Your verdict counts. {approvals} of {request['needs']} approvals are given."
        case "approved":
            length = length_text(granted_seconds(request))
            return f"Approved for {length}. If no session waits for it, the window opens with the next login."
        case state:
            return f"The request is {state}."


async def _shown(
    page: ConsolePage,
    request_id: str,
    *,
    activity: bool = False,
    fault: ConsoleApiProblem | None = None,
    comment: str | None = None,
) -> Response:
    """`comment`: what the reviewer had typed, so that it is not lost with a form that is refused."""
    try:
        context = await page.api.get(f"/requests/{request_id}/context")
    except ConsoleApiProblem as problem:
        raise (fault if fault is not None and problem.status == 404 else problem) from None
    ran = await known(page.api.get(f"/requests/{request_id}/activity")) if activity else None
    return page.show(
        "request.html",
        status=200 if fault is None else fault.status,
        context=context,
        request=context["request"],
        granted=granted_seconds(context["request"]),
        activity=ran,
        by_window={} if ran is None or ran.value is None else {each["window"]: each for each in ran.value["windows"]},
        own=page.person.is_identity(context["request"]["identity"]),
        fault=fault,
        comment=comment,
    )
