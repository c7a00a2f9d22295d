"""`audit/searches`: what an auditor searches for again and again, under a name. Each person has only the own ones.

Decides what a search may be: filters of `audit/executions`, or one query of `audit/sql`. How many a person may have.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pgjit.api.audit_filter import FilterBody
from pgjit.api.bodies import Name, SqlText
from pgjit.api.caller import CallerRole
from pgjit.api.endpoints.requests import RequestId
from pgjit.api.refusals import CallRefused, NothingThere
from pgjit.api.services import TheCall, TheServices
from pgjit.grants.saved_search import SavedSearch
from pgjit.random_id import random_id

__all__ = ["router"]

router = APIRouter(tags=["audit"])
_ROLES: Final = (CallerRole.AUDITOR, CallerRole.ADMIN)
_MOST: Final = 100


class SearchBody(BaseModel):
    """Exactly one of `filter` and `query`. A search of the same name is replaced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Name, Field(max_length=100)]
    filter: FilterBody | None = None
    query: SqlText | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.filter is None) == (self.query is None):
            raise ValueError("give exactly one of `filter` and `query`")
        return self

    @property
    def text(self) -> str:
        return json.dumps(self.model_dump(include={"filter", "query"}, exclude_defaults=True), ensure_ascii=True)


class SearchJson(BaseModel):
    """`filter` or `query` is null. `filter` has only what is narrowed, by the names of `audit/executions`."""

    id: str
    name: str
    filter: dict[str, Any] | None
    query: str | None
    saved_at: datetime

    @classmethod
    def of(cls, search: SavedSearch) -> SearchJson:
        body = json.loads(search.body)
        return cls(
            id=search.id,
            name=search.name,
            filter=body.get("filter"),
            query=body.get("query"),
            saved_at=search.saved_at,
        )


class SearchListJson(BaseModel):
    """All of them, by name."""

    items: list[SearchJson]


@router.get("/audit/searches")
async def searches(call: TheCall, services: TheServices) -> SearchListJson:
    """The caller's own searches."""
    call.require(*_ROLES)
    found = await services.store.saved_searches(call.caller.key)
    return SearchListJson(items=list(map(SearchJson.of, found)))


@router.post("/audit/searches", status_code=201, response_model=SearchJson)
async def save(body: SearchBody, call: TheCall, services: TheServices) -> JSONResponse:
    """Save a search under a name, in place of the caller's own one of that name."""
    role = call.require(*_ROLES)

    async def action() -> SearchJson:
        search = SavedSearch(
            id=f"q_{random_id()}", owner=call.caller.key, name=body.name, body=body.text, saved_at=services.clock()
        )
        kept = await services.store.save_search(search, at_most=_MOST)
        if kept is None:
            raise CallRefused(
                "you have saved too many searches",
                reference="too-many-searches",
                status=409,
                detail=f"Each person may have {_MOST}.",
                hint="Delete one that you do not need any more, or save this one under its name.",
            )
        return SearchJson.of(kept)

    return await call.change(role, f"search {body.name}", action, status=201)


@router.delete("/audit/searches/{search_id}", response_model=SearchJson)
async def delete(search_id: RequestId, call: TheCall, services: TheServices) -> JSONResponse:
    """Delete one of the caller's own searches."""
    role = call.require(*_ROLES)

    async def action() -> SearchJson:
        deleted = await services.store.delete_search(call.caller.key, search_id)
        if deleted is None:
            raise NothingThere("search", search_id)
        return SearchJson.of(deleted)

    return await call.change(role, f"search {search_id}", action)
