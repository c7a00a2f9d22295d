"""A page as the console's own are written, to test what stands around every page."""

from __future__ import annotations

from fastapi import APIRouter, Response

from pgjit.api.caller import CallerRole
from pgjit.console.page import TheForm, TheLivePage, ThePage
from pgjit.console.page_entry import PageEntry

__all__ = ["ENTRIES", "done"]

things = APIRouter()
requests = APIRouter()
done: list[str] = []
"""What the forms have done."""


@things.get("/things")
async def shown(page: ThePage) -> Response:
    found = await page.api.get("/windows", {"state": "open", "policy": None})
    return page.show("no-pages.html", givers=_shown(str(len(found["items"]))))


@things.get("/things/live")
async def live(page: TheLivePage) -> Response:
    return Response(f"{await page.still_signed_in()}", media_type="text/plain")


@things.get("/things/fails")
async def fails(page: ThePage) -> Response:
    raise RuntimeError(f"a secret of {page.person.display}")


@things.post("/things")
async def changed(page: ThePage, form: TheForm) -> Response:
    done.append(form.line("name"))
    return page.to("/things", f"done: {done[-1]}")


@things.post("/things/careless")
async def careless(page: ThePage) -> Response:
    """It does not ask for the form."""
    done.append("careless")
    return page.to("/things")


@requests.get("/ours/{request_id}")
async def one(request_id: str, page: ThePage) -> Response:
    found = await page.api.get(f"/requests/{request_id}")
    return page.show("no-pages.html", givers=_shown(found["reason"]))


@requests.post("/ours/{request_id}/approve")
async def approve(request_id: str, page: ThePage, form: TheForm) -> Response:
    body = {"digest": form.get("digest"), "ttl_seconds": form.duration("ttl")}
    await page.api.post(f"/requests/{request_id}/approve", body)
    return page.to(f"/ours/{request_id}", "Approved.")


def _shown(text: str) -> list[tuple[str, list[str]]]:
    """Values of a template that shows texts."""
    return [("it", [text])]


ENTRIES = (
    PageEntry(title="Ours", path="/ours", roles=(CallerRole.REVIEWER, CallerRole.REQUESTER), router=requests),
    PageEntry(title="Things", path="/things", roles=(CallerRole.AUDITOR, CallerRole.ADMIN), router=things),
)
