"""`locks`: list, set and lift. A lock keeps its scope closed: nothing opens there, and what is open ends."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from pgjit.api.bodies import LockBody, Needed
from pgjit.api.caller import CallerRole
from pgjit.api.cursor import LIMIT, MOST, Position, paged, read_cursor
from pgjit.api.endpoints.requests import RequestId
from pgjit.api.endpoints.windows import actor_of
from pgjit.api.grant_shapes import LockJson, NewLockJson
from pgjit.api.known_scopes import check_known, is_known_identity, key_of_target
from pgjit.api.refusals import InvalidCall, NothingThere
from pgjit.api.services import TheCall, TheGroups, TheServices
from pgjit.api.shapes import PageJson
from pgjit.grants.scope import ScopeKind

__all__ = ["router"]

router = APIRouter(tags=["locks"])


@router.get("/locks")
async def locks(
    call: TheCall,
    services: TheServices,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
) -> PageJson[LockJson]:
    """The locks in force, the newest first."""
    position = read_cursor(cursor)
    await call.record(call.require(CallerRole.AUDITOR, CallerRole.ADMIN))
    found = await services.store.locks(services.clock())
    page, following = paged(found, lambda lock: Position(lock.set_at, lock.id), position, limit)
    return PageJson(items=[LockJson.of(each) for each in page], next=following)


@router.post("/locks", status_code=201, response_model=NewLockJson)
async def set_lock(body: LockBody, call: TheCall, services: TheServices, groups: TheGroups) -> JSONResponse:
    """Lock an identity, a policy, a connection, or everything."""
    role = call.require(CallerRole.ADMIN)
    scope = body.scope
    check_known(scope, services)
    if body.until is not None and body.until <= services.clock():
        raise InvalidCall("`until` is over already.")

    async def action() -> NewLockJson:
        lock = LockJson.of(await services.ending.lock(scope, body.reason, actor_of(call), body.until))
        known = None
        if scope.kind is ScopeKind.IDENTITY:  # after it: a lock waits for no directory
            key = key_of_target(str(scope.target), call.caller.key.tid)
            known = await is_known_identity(key, services, groups)
        return NewLockJson(**dict(lock), identity_known=known)

    return await call.change(role, str(scope), action, status=201)


@router.delete("/locks/{lock_id}", response_model=LockJson)
async def lift_lock(
    lock_id: RequestId, reason: Annotated[Needed, Query()], call: TheCall, services: TheServices
) -> JSONResponse:
    """Lift a lock. What it ended stays ended."""
    role = call.require(CallerRole.ADMIN)

    async def action() -> LockJson:
        lifted = await services.ending.unlock(lock_id, reason, actor_of(call))
        if lifted is None:
            raise NothingThere("lock", lock_id)
        return LockJson.of(lifted)

    return await call.change(role, f"lock {lock_id}", action)
