"""`/live`: what is open and what runs now, with what stops it; and `/events`, by which pages follow it.

Decides which parts of the page each role has. What is stopped, and whether it may be, is decided by the API.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from pgjit.api.caller import CallerRole
from pgjit.console.api_client import ApiStream
from pgjit.console.form import PageForm
from pgjit.console.known import KnownPart, known
from pgjit.console.live_events import for_pages
from pgjit.console.page import ConsolePage, TheForm, TheLivePage, ThePage
from pgjit.console.refusals import FieldFault

__all__ = ["router"]

router = APIRouter()
_LISTS_SESSIONS: Final = (CallerRole.REQUESTER, CallerRole.AUDITOR, CallerRole.ADMIN)
_SHOWN: Final = 25
"""Sessions and windows: the page stays small, and `static/live.js` knows the number."""
_KINDS: Final = ("identity", "policy", "connection", "all")
_BACK: Final = re.compile(r"/live|/windows/[A-Za-z0-9_.-]{1,100}")
Text = Annotated[str | None, Query(max_length=512)]
EventId = Annotated[str | None, Query(max_length=300, pattern=r"^[\x21-\x7e]*$")]


@router.get("/live")
async def live(page: ThePage, sessions: Text = None, windows: Text = None) -> Response:
    """Windows, sessions and locks as they are. `sessions`, `windows`: cursors of their lists."""
    listed: KnownPart | None = None
    if page.person.has(*_LISTS_SESSIONS):
        listed = await known(page.api.get("/sessions", {"limit": _SHOWN, "cursor": sessions}))
        if listed.value is not None:
            listed.value["items"].sort(key=_longest_first)
    opened = await known(page.api.get("/windows", {"state": "open", "limit": _SHOWN, "cursor": windows}))
    locks = await known(page.api.get("/locks", {"limit": 50})) if page.caller.reads_all else None
    return page.show(
        "live.html", sessions=listed, windows=opened, locks=locks, every=page.caller.reads_all, kinds=_KINDS
    )


@router.post("/sessions/{session_id}/kill")
async def kill(page: ThePage, form: TheForm, session_id: str) -> Response:
    """End one session now; its window stays open."""
    await page.api.post(f"/sessions/{session_id}/kill", {"reason": form.text("reason", most=1000)})
    return page.to("/live", "The session ends now. Its window stays open: revoke it to end that too.")


@router.post("/locks")
async def lock(page: ThePage, form: TheForm) -> Response:
    """Lock an identity, a policy, a connection, or everything."""
    kind, body = _scope(form)
    length = form.duration("length", most=365 * 86_400)
    if length is not None:
        if length < 1:
            raise FieldFault("length", "Write a length of time such as `2h`, or nothing.")
        body["until"] = (page.now + timedelta(seconds=length)).astimezone(UTC).isoformat()
    back = form.get("back", most=200)
    made = await page.api.post("/locks", body)
    notice = f"Locked: {kind} {made['target'] or ''}."
    if made.get("identity_known") is False:
        notice += " Neither pgjit nor its directory has ever seen this identity: it may be misspelt."
    return page.to(back if back is not None and _BACK.fullmatch(back) else "/live", notice)


@router.post("/locks/{lock_id}/lift")
async def lift(page: ThePage, form: TheForm, lock_id: str) -> Response:
    """Lift a lock. What it ended stays ended."""
    await page.api.delete(f"/locks/{lock_id}", {"reason": form.text("reason", most=1000)})
    return page.to("/live", "The lock is lifted. What it ended stays ended.")


@router.get("/events")
async def events(
    page: TheLivePage,
    sessions: bool = False,
    after: EventId = None,
    last_event_id: Annotated[str | None, Header(max_length=300)] = None,
) -> Response:
    """Server-Sent Events for the pages: the API's, with texts that are ready to be shown.

    `after`: the id of the last event before the page was made. When a browser connects again it sends a later one.
    """
    last = last_event_id or after
    headers = {} if last is None else {"last-event-id": last}
    stream = await page.api.stream("/events", {"live": sessions}, headers=headers)
    return StreamingResponse(_followed(page, stream), media_type="text/event-stream")


async def _followed(page: ConsolePage, stream: ApiStream) -> AsyncIterator[bytes]:
    """INVARIANT: nothing is sent for a sign-in that is over. Each comment of the API is a look at it."""
    try:
        async with aclosing(for_pages(stream)) as shown:
            async for events in shown:
                looked_at = any(event.startswith(b":") for event in events)
                if looked_at and not await page.still_signed_in():
                    yield b'event: end\ndata: {"reference": "sign-in-needed"}\n\n'
                    return
                yield b"".join(events)
    finally:
        await stream.aclose()


def _longest_first(session: dict[str, Any]) -> tuple[bool, str]:
    """Those that run something come first, that which runs longest at the top; the others stay in their order."""
    running = session["running"]
    return running is None, "" if running is None else str(running["started_at"])


def _scope(form: PageForm) -> tuple[str, dict[str, Any]]:
    kind = form.choice("kind", _KINDS)
    body: dict[str, Any] = {"reason": form.text("reason", most=1000)}
    body[kind] = True if kind == "all" else form.line("target", most=200)
    return kind, body
