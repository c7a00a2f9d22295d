"""Searches that a person saves: the filters of an address, under a name."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Response

from pgjit.console.audit_filters import read_filters
from pgjit.console.page import TheForm, ThePage
from pgjit.console.refusals import FieldFault

__all__ = ["router"]

router = APIRouter()


@router.post("/audit/searches")
async def save(page: ThePage, form: TheForm) -> Response:
    """Save the filters that the page had. A search of the same name is replaced."""
    name = form.line("name", most=100)
    filters = read_filters(form.text("filters", most=4000))
    if not filters.given:
        raise FieldFault("filters", "There is no filter to save.")
    flags: dict[str, object] = {flag: True for flag in ("catalog", "after_end") if flag in filters.given}
    await page.api.post("/audit/searches", {"name": name, "filter": {**filters.given, **flags}})
    return page.to(f"/audit?{filters.text}", f"The search is saved as {name}.")


@router.post("/audit/searches/{search}/delete")
async def delete(search: str, page: ThePage, form: TheForm) -> Response:
    """Delete a search of one's own, and go back to the page that listed it."""
    back = form.choice("back", {"/audit", "/audit/sql"})
    deleted = await page.api.delete(f"/audit/searches/{quote(search, safe='')}")
    return page.to(back, f"The search {deleted['name']} is deleted.")
