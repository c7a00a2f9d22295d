"""`requests`: make, list, show, approve, refuse and withdraw. Whether a verdict counts is decided by `grants`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from pgjit.api.bodies import ApprovalBody, Name, RefusalBody, RequestBody, WithdrawalBody
from pgjit.api.caller import Caller, CallerRole, is_person
from pgjit.api.cursor import LIMIT, MOST
from pgjit.api.endpoints.about import visible_policies
from pgjit.api.grant_shapes import RequestJson
from pgjit.api.refusals import InvalidCall, NothingThere
from pgjit.api.services import ApiServices, TheCall, TheServices
from pgjit.api.shapes import PageJson
from pgjit.errors import AccessRefused
from pgjit.grants.holder import Holder
from pgjit.grants.listing import RequestFilter
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import AgentsNeverReview, RequestUnknown
from pgjit.grants.reviewers import Reviewer
from pgjit.policy.choose import check_requirements
from pgjit.policy.policy import Policy

__all__ = ["RequestId", "read_request", "reader_role", "reviewer_of", "router"]

router = APIRouter(tags=["requests"])
RequestId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[\x21-\x2e\x30-\x7e]+$")]
_PAGES = 10  # that are read at once in search of a request that the caller may see


@router.post("/requests", status_code=202, response_model=RequestJson)
async def make(body: RequestBody, call: TheCall, services: TheServices) -> JSONResponse:
    """Request access for oneself. The live request for exactly the same is returned instead of a second one."""
    role = call.require(CallerRole.REQUESTER)
    caller, policy = call.caller, _open_policy(body.policy, call.caller, services)
    if body.connection not in (None, policy.connection):
        raise NothingThere("connection", str(body.connection))
    try:
        check_requirements(policy, caller.identity)
    except AccessRefused as unmet:
        call.refuse(unmet, 403)

    async def action() -> RequestJson:
        request = await services.requests.make(
            caller.identity,
            policy,
            policy.connection,
            reason=body.reason,
            ticket=body.ticket,
            ttl=None if body.ttl_seconds is None else timedelta(seconds=body.ttl_seconds),
            source=caller.source.rpartition(":")[0],
        )
        return RequestJson.of(request)

    return await call.change(role, f"policy {policy.name}", action, status=202)


@router.get("/requests")
async def requests(
    call: TheCall,
    services: TheServices,
    state: RequestState | None = None,
    policy: Annotated[Name | None, Query()] = None,
    mine: bool = False,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
) -> PageJson[RequestJson]:
    """The requests that the caller may see, the newest first. A page may have fewer than `limit`."""
    caller = call.caller
    role = CallerRole.REQUESTER if mine else reader_role(caller)
    narrowed = RequestFilter(
        states=None if state is None else (state,),
        identity=caller.key if role is CallerRole.REQUESTER else None,
        policy=policy,
    )
    if role is not CallerRole.REQUESTER:
        await call.record(role)
    found: list[Request] = []
    for _ in range(_PAGES):
        try:
            page = await services.requests.list(narrowed, cursor, limit)
        except ValueError:
            raise InvalidCall(
                "`cursor` must be the `next` of an earlier page.", reference="invalid-cursor", status=400
            ) from None
        found = [each for each in page.items if _sees(caller, each)]
        cursor = page.next
        if found or cursor is None:
            break
    return PageJson(items=[RequestJson.of(each) for each in found], next=cursor)


@router.get("/requests/{request_id}")
async def request(request_id: RequestId, call: TheCall, services: TheServices) -> RequestJson:
    """One request."""
    return RequestJson.of(await read_request(request_id, call, services))


@router.post("/requests/{request_id}/approve", response_model=RequestJson)
async def approve(request_id: RequestId, body: ApprovalBody, call: TheCall, services: TheServices) -> JSONResponse:
    """Approve a request of somebody else, perhaps for a shorter time."""
    role = _reviewing(call)

    async def action() -> RequestJson:
        decided = await services.requests.approve(
            request_id,
            await _reviewer(request_id, call.caller, services),
            comment=body.comment,
            ttl=None if body.ttl_seconds is None else timedelta(seconds=body.ttl_seconds),
            digest=body.digest,
        )
        return RequestJson.of(decided)

    return await call.change(role, f"request {request_id}", action)


@router.post("/requests/{request_id}/refuse", response_model=RequestJson)
async def refuse(request_id: RequestId, body: RefusalBody, call: TheCall, services: TheServices) -> JSONResponse:
    """Refuse a request of somebody else. The requester reads the reason."""
    role = _reviewing(call)

    async def action() -> RequestJson:
        reviewer = await _reviewer(request_id, call.caller, services)
        refused = await services.requests.refuse(request_id, reviewer, reason=body.reason, digest=body.digest)
        return RequestJson.of(refused)

    return await call.change(role, f"request {request_id}", action)


@router.post("/requests/{request_id}/withdraw", response_model=RequestJson)
async def withdraw(request_id: RequestId, body: WithdrawalBody, call: TheCall, services: TheServices) -> JSONResponse:
    """Withdraw the own request. To others it is unknown."""

    async def action() -> RequestJson:
        holder = Holder.of(call.caller.identity)
        withdrawn = await services.requests.withdraw(request_id, call.caller.key, holder, reason=body.reason)
        return RequestJson.of(withdrawn)

    return await call.change(CallerRole.REQUESTER, f"request {request_id}", action)


def reader_role(caller: Caller) -> CallerRole:
    """The role in which the caller reads what belongs to others; requester if there is none."""
    reading = (CallerRole.AUDITOR, CallerRole.ADMIN, CallerRole.REVIEWER)
    return caller.strongest(reading) or CallerRole.REQUESTER


async def read_request(request_id: str, call: TheCall, services: ApiServices) -> Request:
    """The request, after the call was recorded if it is somebody else's.

    Raises RequestUnknown, also for a request that the caller may not see.
    """
    found = await services.requests.get(request_id)
    if not _sees(call.caller, found):
        raise RequestUnknown(request_id)
    if found.ask.identity != call.caller.key:
        await call.record(reader_role(call.caller), f"request {request_id}")
    return found


def _sees(caller: Caller, request: Request) -> bool:
    if caller.reads_all or request.ask.identity == caller.key:
        return True
    reviewer = Reviewer.of(caller.identity, "api")
    return CallerRole.REVIEWER in caller.roles and reviewer.is_named_by(request.review)


def _reviewing(call: TheCall) -> CallerRole:
    """INVARIANT: only a person with the role of a reviewer comes as far as `grants`, which checks again."""
    if not is_person(call.caller.identity):
        call.refuse(AgentsNeverReview(), 403)
    return call.require(CallerRole.REVIEWER)


async def _reviewer(request_id: str, caller: Caller, services: ApiServices) -> Reviewer:
    return await reviewer_of(await services.requests.get(request_id), caller, services)


async def reviewer_of(found: Request, caller: Caller, services: ApiServices) -> Reviewer:
    """The caller as reviewer, tied to the requester if the directory names the caller as its owner or sponsor."""
    return Reviewer.of(caller.identity, "api", await services.ties.to_request(caller.key, found))


def _open_policy(name: str, caller: Caller, services: ApiServices) -> Policy:
    """The policy, if it is open to the caller."""
    identity = caller.identity
    for each in visible_policies(caller, services):
        if each.name == name and each.identity.selects(each.group, identity.groups, identity.roles):
            return each
    raise NothingThere("policy", name)
