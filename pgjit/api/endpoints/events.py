"""`events`: a stream of what happens to requests, windows, sessions and locks on this node."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, cast

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pgjit.api.caller import Caller
from pgjit.api.endpoints.requests import reader_role
from pgjit.api.event_stream import EventStream
from pgjit.api.gate import CallerAdmission
from pgjit.api.services import TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["events"])


class _EventResponse(StreamingResponse):
    """Holds the place of its reader until the stream has ended, or did not begin."""

    def __init__(self, stream: EventStream, last_id: str | None, place: ExitStack) -> None:
        super().__init__(stream.text(last_id), media_type="text/event-stream")
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


@router.get("/events", response_class=StreamingResponse)
async def events(
    request: Request,
    call: TheCall,
    services: TheServices,
    live: bool = False,
    last_event_id: Annotated[str | None, Header(max_length=300)] = None,
) -> StreamingResponse:
    """Server-Sent Events: those that the caller may see, as they happen. `gap`: some were missed, read the state.

    `live`: also events `live`, every two seconds at most: this node's sessions that the caller may list, as they are.
    """
    admission = cast(CallerAdmission, request.app.state.admission)
    await call.record(reader_role(call.caller))
    caller, token = call.caller, request.state.token

    async def check() -> Caller:
        return await admission.of_token(token, caller.source, fresh=True, counted=False)

    following = services.live if live else None
    stream = EventStream(services.feed, services.policies, caller, check, live=following)
    place = ExitStack()
    place.enter_context(services.feed.reading(caller.quota_key, reads_all=caller.reads_all))
    return _EventResponse(stream, last_event_id, place)
