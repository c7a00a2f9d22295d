"""`sessions`: list the live sessions of all nodes, and kill one."""

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
from pgjit.api.fleet_sessions import sessions_elsewhere
from pgjit.api.refusals import NothingThere
from pgjit.api.services import TheCall, TheServices
from pgjit.api.shapes import SessionJson, SessionPageJson
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.proxy.registry import SessionView
from pgjit.turns import in_pieces

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
) -> SessionPageJson:
    """The live sessions of all nodes, the latest first. A requester sees the own ones."""
    role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN, CallerRole.REQUESTER)
    after = read_cursor(cursor)
    own = call.caller.key if role is CallerRole.REQUESTER else None
    if own is None:
        await call.record(role)
    elsewhere = await sessions_elsewhere(services, identity=own)
    found: list[tuple[Position, SessionView | SessionElsewhere]] = [(_place(each), each) for each in elsewhere or ()]
    live = services.registry if own is None else services.registry.of_identity(own)
    found += [
        (Position(view.opened_at, view.id), view)
        async for session in in_pieces(live)
        if (view := session.view) is not None
    ]
    page, following = paged(found, lambda each: each[0], after, limit)
    items = [
        SessionJson.of(each, services.node) if isinstance(each, SessionView) else SessionJson.of_elsewhere(each)
        for _, each in page
    ]
    return SessionPageJson(items=items, next=following, complete=elsewhere is not None)


def _place(session: SessionElsewhere) -> Position:
    opened_at = session.window.opened_at if session.process is None else session.process.started
    return Position(opened_at, session.id)


@router.post("/sessions/{session_id}/kill", response_model=KilledJson)
async def kill(session_id: RequestId, body: ReasonBody, call: TheCall, services: TheServices) -> JSONResponse:
    """End one session now. Its window stays open."""
    role = call.require(CallerRole.ADMIN)

    async def action() -> KilledJson:
        if not await services.ending.kill(session_id, body.reason, actor_of(call)):
            raise NothingThere("session", session_id)
        return KilledJson(id=session_id, state="ending")

    return await call.change(role, f"session {session_id}", action)
