"""`requests/{id}/context` and `/activity`: what a reviewer needs to decide by, beside the request itself.

Decides what of it each caller sees: the windows are those that the caller may list anyway. The context is quick. The
activity is read from the journal, which takes a moment.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from pgjit.api.caller import CallerRole
from pgjit.api.endpoints.access import PolicyAccessJson, policy_access
from pgjit.api.endpoints.requests import RequestId, read_request, reviewer_of
from pgjit.api.endpoints.windows import sees_window, with_budgets
from pgjit.api.grant_shapes import RequestJson, WindowDetailJson
from pgjit.api.refusals import RoleRequired
from pgjit.api.services import ApiServices, TheCall, TheServices
from pgjit.errors import PgjitError
from pgjit.grants.listing import WindowFilter
from pgjit.grants.request import Request
from pgjit.grants.window import Window

__all__ = ["router"]

router = APIRouter(tags=["requests"])
_SEARCHED = 50
Count = Annotated[int, Query(ge=1, le=20)]


class DecidingJson(BaseModel):
    """Whether an approval by the caller would count now. If not, why: the members of the error that it would get."""

    may: bool
    verdict: str | None  # the caller's own, if there is one
    reference: str | None = None
    title: str | None = None
    detail: str | None = None
    hint: str | None = None


class RequestContextJson(BaseModel):
    """`policy` is the policy as it is now; null if there is none of this name any more. `policy_changed`: the request
    was made under another version, and nobody can approve it. `windows`: the latest of the same identity, as far as
    the caller may see them; `windows_more`: there are older ones.
    """

    request: RequestJson
    deciding: DecidingJson
    policy: PolicyAccessJson | None
    policy_changed: bool
    windows: list[WindowDetailJson]
    windows_more: bool


class WindowActivityJson(BaseModel):
    """What ran in a window, without what drivers ask the catalogs by themselves.

    `reads` and `writes`: the relations that were used most, with the number of executions; `objects_more`: others.
    """

    window: str
    executions: int
    refused: int
    failed: int
    rows: int
    bytes: int
    longest_us: int | None
    reads: dict[str, int]
    writes: dict[str, int]
    objects_more: bool


class ActivityJson(BaseModel):
    """`complete`: whether nothing of this node's journal is missing or damaged."""

    windows: list[WindowActivityJson]
    complete: bool


@router.get("/requests/{request_id}/context")
async def context(
    request_id: RequestId, call: TheCall, services: TheServices, windows: Count = 5
) -> RequestContextJson:
    """What a request's policy opens now, what the same identity did lately, and whether the caller may decide."""
    found = await read_request(request_id, call, services)
    policy = services.policies.get(found.ask.policy)
    latest, more = await _latest_windows(found, windows, call, services)
    locks = await services.store.locks(services.clock()) if call.caller.reads_all else None
    opened = None if policy is None else await policy_access(policy, found.ask.identity, locks, services)
    return RequestContextJson(
        request=RequestJson.of(found),
        deciding=await _deciding(found, call, services),
        policy=opened,
        policy_changed=policy is None or policy.version != found.ask.policy_version,
        windows=await with_budgets(latest, services),
        windows_more=more,
    )


@router.get("/requests/{request_id}/activity")
async def activity(request_id: RequestId, call: TheCall, services: TheServices, windows: Count = 5) -> ActivityJson:
    """What ran in the latest windows of the same identity, from this node's journal."""
    found = await read_request(request_id, call, services)
    latest, _ = await _latest_windows(found, windows, call, services)
    if not latest:
        return ActivityJson(windows=[], complete=True)
    answers, question = services.answers, {"ask": "activity", "names": [each.id for each in latest]}
    async with call.turn():
        answer = await answers.answer(question)
    return ActivityJson(
        windows=[WindowActivityJson(**each) for each in answer["windows"]], complete=answer["complete"]
    )


async def _latest_windows(
    request: Request, most: int, call: TheCall, services: ApiServices
) -> tuple[list[Window], bool]:
    """Those of the same holder: an agent that acts for a person has its own."""
    page = await services.store.windows(WindowFilter(identity=request.ask.identity), None, _SEARCHED)
    same = [
        each for each in page.items if each.holder_key == request.ask.holder_key and sees_window(call, each, services)
    ]
    return same[:most], len(same) > most or page.next is not None


async def _deciding(request: Request, call: TheCall, services: ApiServices) -> DecidingJson:
    """Whether an approval by the caller would count now.

    An approval applies the same rules, and looks up groups, owners and sponsors again.
    """
    caller = call.caller
    verdict = next((each.verdict for each in request.verdicts if each.by.key == caller.key), None)
    try:
        services.requests.check_approval(request, await reviewer_of(request, caller, services))
        if CallerRole.REVIEWER not in caller.roles:
            raise RoleRequired([CallerRole.REVIEWER.value], person=True)
    except PgjitError as refused:
        return DecidingJson(
            may=False, verdict=verdict, reference=refused.reference, title=refused.message, detail=refused.detail,
            hint=refused.hint,
        )  # fmt: skip
    return DecidingJson(may=verdict is None, verdict=verdict)
