"""`sessions`: the live sessions of this node."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pgjit.api.caller import CallerRole
from pgjit.api.cursor import LIMIT, MOST, Position, paged, read_cursor
from pgjit.api.services import TheCall, TheServices
from pgjit.api.shapes import PageJson, SessionJson

__all__ = ["router"]

router = APIRouter(tags=["sessions"])


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
