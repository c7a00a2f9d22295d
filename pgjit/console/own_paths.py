"""Which addresses a browser is sent to: pages of this console, and nothing else."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.routing import Match

__all__ = ["page_of_form", "wanted_path"]

_NO_TARGETS: Final = ("/sign-in", "/signed-in", "/sign-out", "/static", "/events")


def wanted_path(request: Request, wanted: str) -> str:
    """`wanted` if it is the address of a page of this console, else an empty text.

    INVARIANT: nobody is sent to another site.
    """
    if not wanted.startswith("/") or "\\" in wanted or not wanted.isascii() or not wanted.isprintable():
        return ""
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or parts.fragment or "//" in parts.path or "%" in parts.path:
        return ""
    if parts.path == "/" or parts.path.startswith(_NO_TARGETS):
        return ""
    scope = {"type": "http", "path": parts.path, "root_path": "", "method": "GET", "headers": []}
    found = any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    return wanted if found else ""


def page_of_form(request: Request) -> str:
    """The page that the form of this POST is on: its own path, or the path above it. Empty if neither is a page."""
    path = request.url.path
    return wanted_path(request, path) or wanted_path(request, path.rpartition("/")[0])
