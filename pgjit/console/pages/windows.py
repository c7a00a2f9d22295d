"""`/windows`: the list of windows, and the story of one, from its request to the proof of its end.

Decides what of a story is on a page. The executions are those of the journal, for auditors and admins; others see
what the window's own record in the store has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from pgjit.audit.reading.record_words import record_words
from pgjit.console.known import KnownPart, known
from pgjit.console.list_part import list_part
from pgjit.console.page import ConsolePage, TheForm, ThePage
from pgjit.console.refusals import ConsoleApiProblem
from pgjit.console.timeline import outcome_of, timeline_of

__all__ = ["router"]

router = APIRouter()
STATES: Final = ("open", "ending", "ended", "all")
_PER_PAGE: Final = 100
_SHOWN_AGAIN: Final = (409, 422)
Text = Annotated[str | None, Query(max_length=512)]


@router.get("/windows")
async def windows(
    page: ThePage,
    state: Text = None,
    policy: Text = None,
    connection: Text = None,
    mine: Text = None,
    cursor: Text = None,
) -> Response:
    """The windows in a state, the newest first; open ones by default."""
    chosen = {
        "state": state or "open",
        "policy": policy or None,
        "connection": connection or None,
        "mine": "true" if mine else None,
    }
    asked = {**chosen, "state": None if chosen["state"] == "all" else chosen["state"], "cursor": cursor, "limit": 50}
    found = await page.api.get("/windows", asked)
    query = urlencode({name: value for name, value in chosen.items() if value is not None})
    return page.show(
        "windows.html", found=found, chosen=chosen, states=[(each, each) for each in STATES], query=query
    )


@router.get("/windows/{window_id}")
async def window(page: ThePage, window_id: str, catalog: Text = None, begin: Text = None) -> Response:
    """The story of a window. `catalog`: with what drivers ask the catalogs; `begin`: the first execution shown."""
    return await _shown(page, window_id, catalog=bool(catalog), begin=begin or "")


@router.post("/windows/{window_id}/revoke")
async def revoke(page: ThePage, form: TheForm, window_id: str) -> Response:
    """End the window and its sessions now."""
    body = {"reason": form.text("reason", most=1000)}
    return await _changed(page, window_id, "revoke", body, "The window ends now. Its end has its proof below.")


@router.post("/windows/{window_id}/sign-off")
async def sign_off(page: ThePage, form: TheForm, window_id: str) -> Response:
    """Sign off a break-glass window that is over."""
    body = {"comment": form.text("comment", most=1000)}
    return await _changed(page, window_id, "sign-off", body, "You have signed this window off.")


async def _changed(page: ConsolePage, window_id: str, what: str, body: Mapping[str, object], notice: str) -> Response:
    try:
        await page.api.post(f"/windows/{window_id}/{what}", body)
    except ConsoleApiProblem as problem:
        if problem.status not in _SHOWN_AGAIN:
            raise
        return await _shown(page, window_id, fault=problem)
    return page.to(f"/windows/{window_id}", notice)


async def _shown(
    page: ConsolePage,
    window_id: str,
    *,
    catalog: bool = False,
    begin: str = "",
    fault: ConsoleApiProblem | None = None,
) -> Response:
    found = await page.api.get(f"/windows/{window_id}")
    request = await _request_of(page, found)
    story = await _story_of(page, window_id, catalog)
    executions = [] if story is None or story.value is None else story.value["executions"]
    part = list_part(executions, begin, _PER_PAGE)
    return page.show(
        "window.html",
        status=200 if fault is None else fault.status,
        window=found,
        request=request,
        story=story,
        events=_events(story),
        sessions=[] if story is None or story.value is None else story.value["sessions"],
        totals={} if story is None or story.value is None else {"written": [], **story.value["totals"]},
        timeline=timeline_of(executions),
        part=part,
        shown_executions=[(number, each, outcome_of(each)) for number, each in enumerate(part.items, part.begin)],
        in_story=len(executions),
        catalog=catalog,
        own=page.person.is_identity(found["identity"]),
        fault=fault,
    )


async def _request_of(page: ConsolePage, window: dict[str, Any]) -> KnownPart | None:
    """The request that the window was opened by, where the person may see it."""
    if window["request"] is None:
        return None
    try:
        return await known(page.api.get(f"/requests/{window['request']}"))
    except ConsoleApiProblem as problem:
        return KnownPart(None, problem)


async def _story_of(page: ConsolePage, window_id: str, catalog: bool) -> KnownPart | None:
    """The window's story from the journal; None for who may not read it. A window of another node is not known."""
    if not page.caller.reads_all:
        return None
    try:
        return await known(page.api.get(f"/audit/windows/{window_id}", {"catalog": catalog}))
    except ConsoleApiProblem as problem:
        if problem.status != 404:
            raise
        return KnownPart(None, problem)


def _events(story: KnownPart | None) -> list[tuple[str, str, str]]:
    """Time, type and words of all records but those of executions."""
    if story is None or story.value is None:
        return []
    return [(str(each["time"]), str(each["type"]), record_words(each)) for each in story.value["events"]]
