"""Access: what a group or an identity can do now.

Decides nothing: `GET access` of the API answers, and says why it cannot. Whoever may not ask about others asks about
the own identity and groups.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from pgjit.console.page import ConsolePage, ThePage
from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["router"]

router = APIRouter()
_MOST: Final = 300
Asked = Annotated[str, Query(max_length=_MOST)]


@router.get("/access")
async def access(page: ThePage, group: Asked = "", identity: Asked = "") -> HTMLResponse:
    group, identity = group.strip(), identity.strip()
    found: dict[str, Any] | None = None
    problem: ConsoleApiProblem | None = None
    if group or identity:
        try:
            found = await page.api.get("/access", {"group": group or None, "identity": identity or None})
        except ConsoleApiProblem as refused:
            problem = refused
    named = await _groups(page)
    return page.show(
        "access.html",
        status=200 if problem is None else problem.status,
        group=group,
        identity=identity,
        groups=[("", "choose a group"), *((each, f"{name} ({policies})") for each, name, policies in named)],
        name=next((name for each, name, _ in named if each == group), None),
        found=None if found is None else found["policies"],
        problem=problem,
    )


async def _groups(page: ConsolePage) -> list[tuple[str, str, str]]:
    """The groups of the policies that the person may see: id, name, and the policies that each opens."""
    named: dict[str, tuple[str, list[str]]] = {}
    for each in (await page.api.get("/policies"))["items"]:
        if each["group"] is not None:
            named.setdefault(each["group"], (each["group_name"] or each["group"], []))[1].append(each["name"])
    found = [(group, name, ", ".join(policies)) for group, (name, policies) in named.items()]
    return sorted(found, key=lambda each: each[1])
