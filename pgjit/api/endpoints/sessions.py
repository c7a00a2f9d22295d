"""`sessions`: list the live sessions of this node, and kill one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from pgjit.api.bodies import ReasonBody
from pgjit.api.caller import CallerRole
from pgjit.api.cursor import LIMIT, MOST, Position, paged, read_cursor
from pgjit.api.endpoints.requests import RequestId
from pgjit.api.endpoints.windows import actor_of
from pgjit.api.refusals import NothingThere
from pgjit.api.services import TheCall, TheServices
from pgjit.api.shapes import PageJson, SessionJson

__all__ = ["router"]

router = APIRouter(tags=["sessions"])


class KilledJson(BaseModel):
    id: str
    state: str


@router.get("/sessions")
async def sessions(
    call: TheCall,
    services: TheServices,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
) -> PageJson[SessionJson]:
    """The live sessions, the latest first. A requester sees the own ones."""
    role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN, CallerRole.REQUESTER)
    views = services.registry.views()
    if role is CallerRole.REQUESTER:
        views = [view for view in views if view.identity.key == call.caller.key]
    else:
        await call.record(role)
    page, following = paged(views, lambda view: Position(view.opened_at, view.id), read_cursor(cursor), limit)
    return PageJson(items=[SessionJson.of(view, services.node) for view in page], next=following)


@router.post("/sessions/{session_id}/kill", response_model=KilledJson)
async def kill(session_id: RequestId, body: ReasonBody, call: TheCall, services: TheServices) -> JSONResponse:
    """End one session now. Its window stays open."""
    role = call.require(CallerRole.ADMIN)

    async def action() -> KilledJson:
        if not await services.ending.kill(session_id, body.reason, actor_of(call)):
            raise NothingThere("session", session_id)
        return KilledJson(id=session_id, state="ending")

    return await call.change(role, f"session {session_id}", action)
