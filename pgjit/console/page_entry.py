"""An entry of the table of pages: a title in the navigation, a path, and the roles that may open it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from pgjit.api.caller import CallerRole

__all__ = ["ANY_ROLE", "PageEntry"]

ANY_ROLE = tuple(CallerRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEntry:
    """`roles`: any of them opens every path of `router`. `title` None: the page is not in the navigation."""

    title: str | None
    path: str
    roles: tuple[CallerRole, ...]
    router: APIRouter
