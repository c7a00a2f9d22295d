"""Policies: the files in force with their versions, tests and coverage, the windows under them, a statement to try.

Decides how an explanation is arranged for reading; what it says is the API's, and `pgjit policy explain` says the
same. A file that has changed on the disk is not in force, and the page says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from pgjit.console.form import PageForm
from pgjit.console.known import known
from pgjit.console.page import ConsolePage, TheForm, ThePage
from pgjit.console.pointed_line import pointed_line
from pgjit.console.refusals import ConsoleApiProblem, FieldFault

__all__ = ["router"]

router = APIRouter()
_MOST_SQL: Final = 50_000  # characters
_MOST_LINES: Final = 2000  # of a file


@router.get("/policies")
async def policies(page: ThePage) -> HTMLResponse:
    listed = (await page.api.get("/policies"))["items"]
    files, unknown = await _part(page, "/policy-files")
    reload = await known(page.api.get("/reload"))
    of_policy = {each["policy"]: each for each in files}
    return page.show(
        "policies.html",
        policies=[(each, of_policy.get(each["name"])) for each in listed],
        others=[each for each in files if each["policy"] is None],
        changed=[each for each in files if each["policy"] is not None and each["state"] != "in-force"],
        unknown=unknown,
        reload=reload,
    )


@router.get("/policies/{name}")
async def policy(name: str, page: ThePage) -> HTMLResponse:
    return await _show(name, page)


@router.post("/policies/{name}/explain")
async def explain(name: str, page: ThePage, form: TheForm) -> HTMLResponse:
    """The same page with the explanation of a statement. Nothing is changed, so there is no redirect."""
    return await _show(name, page, _statement(form))


@router.get("/policies/{name}/tests")
async def policy_tests(name: str, page: ThePage) -> HTMLResponse:
    found = await page.api.get(f"/policies/{name}/tests")
    places = [_place(each) for each in found["untested"]["lines"]]
    return page.show("policy-tests.html", name=name, found=found, untested=places)


async def _show(name: str, page: ConsolePage, sql: str | None = None) -> HTMLResponse:
    terms = await page.api.get(f"/policies/{name}")
    file = await page.api.get(f"/policies/{name}/file")
    explanation, refused = None, None
    if sql is not None:
        try:
            explanation = await page.api.post(f"/policies/{name}/explain", {"sql": sql})
        except ConsoleApiProblem as problem:
            refused = problem
    windows, windows_unknown = await _part(page, "/windows", {"policy": name, "state": "open", "limit": 50})
    lines = file["text"].splitlines()
    return page.show(
        "policy.html",
        status=200 if refused is None else refused.status,
        policy=terms,
        file=file,
        lines=lines[:_MOST_LINES],
        more_lines=max(0, len(lines) - _MOST_LINES),
        windows=windows,
        windows_unknown=windows_unknown,
        sql=sql or "",
        most_sql=_MOST_SQL,
        explanation=None if explanation is None or sql is None else _arranged(explanation, sql),
        refused=refused,
    )


async def _part(
    page: ConsolePage, path: str, query: dict[str, object] | None = None
) -> tuple[list[dict[str, Any]], ConsoleApiProblem | None]:
    """The items of a list; where it cannot be known now, why. The rest of the page stands all the same."""
    found = await known(page.api.get(path, query))
    return ([] if found.value is None else found.value["items"]), found.problem


def _statement(form: PageForm) -> str:
    """Any text at all, as an agent might send it. Raises FieldFault."""
    values = form.values("sql")
    if len(values) != 1:
        raise FieldFault("sql", "It must be sent once.")
    text = values[0].replace("\r\n", "\n")
    if len(text) > _MOST_SQL:
        raise FieldFault("sql", f"It may have at most {_MOST_SQL} characters.")
    return text


# --- explanations ------------------------------------------------------------------------------------------


def _arranged(explanation: dict[str, Any], sql: str) -> dict[str, Any]:
    """The explanation with the line of each violation, and the objects of each statement by what decided on them."""
    violations = [
        {**each, "pointed": None if each["position"] is None else pointed_line(sql, each["position"])}
        for each in explanation["violations"]
    ]
    statements = [{**each, "grounds": _grounds(each["touches"])} for each in explanation["statements"]]
    return {**explanation, "violations": violations, "statements": statements}


def _grounds(touches: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was refused comes first."""
    found: dict[tuple[bool, str, str], dict[str, Any]] = {}
    for each in touches:
        key = (each["allowed"], each["rule"] or "", each["place"] or "")
        group = found.setdefault(
            key,
            {
                "allowed": each["allowed"],
                "rule": each["rule"],
                "line": each["line"],
                "place": None if each["place"] is None else _place(each["place"]),
                "objects": {},
            },
        )
        through = f", through {', '.join(each['through'])}" if each["through"] else ""
        action = f" ({each['action']})" if each["action"] else ""
        group["objects"].setdefault(f"{each['object']} {each['name']}{action}{through}", None)
    return sorted(found.values(), key=lambda each: bool(each["allowed"]))


def _place(place: str) -> dict[str, str]:
    """The file's name, line and column from `path:line:column`."""
    path, line, column = place.rsplit(":", 2)
    return {"file": path.replace("\\", "/").rpartition("/")[2], "line": line, "column": column}
