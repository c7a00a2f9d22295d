"""`events`: a stream of what happens to requests, windows, sessions and locks on this node."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from pgjit.api.caller import Caller
from pgjit.api.endpoints.requests import reader_role
from pgjit.api.event_stream import EventStream
from pgjit.api.gate import CallerAdmission
from pgjit.api.services import TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(
    request: Request,
    call: TheCall,
    services: TheServices,
    last_event_id: Annotated[str | None, Header(max_length=300)] = None,
) -> StreamingResponse:
    """Server-Sent Events: those that the caller may see, as they happen. `gap`: some were missed, read the state."""
    admission = cast(CallerAdmission, request.app.state.admission)
    await call.record(reader_role(call.caller))
    caller, token = call.caller, request.state.token

    async def check() -> Caller:
        return await admission.of_token(token, caller.source, fresh=True, counted=False)

    stream = EventStream(services.feed, services.policies, caller, check)
    return StreamingResponse(stream.text(last_event_id), media_type="text/event-stream")
