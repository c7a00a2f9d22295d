"""Debian's Chromium, driven by Playwright: one browser for a file of tests, a context of its own for each visitor.

Decides what no page of the console may do, whatever a test looks at: an error or a warning on the browser's console,
an exception that nobody caught, a request to any other host. The browser resolves no name but `localhost`, so that no
request can leave the machine. Playwright downloads nothing: without an installed Chromium the tests are skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from tests.run.processes import OWNED
from tests.run.programs import find

__all__ = ["NOT_INSTALLED", "PATIENCE_MS", "Watch", "find_chromium", "need_chromium", "run_chromium"]

PATIENCE_MS = 60_000
"""So long does Playwright wait for a state at most: a busy machine takes its time."""

expect.set_options(timeout=PATIENCE_MS)

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable")
_ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have 64 MB of it
    "--no-first-run",
)
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


NOT_INSTALLED = "chromium is not installed (Debian: apt-get install chromium)"


def find_chromium() -> str | None:
    """Its path."""
    return next((path for name in _NAMES if (path := find(name)) is not None), None)


def need_chromium() -> str:
    """Its path; the test is skipped without one."""
    path = find_chromium()
    if path is None:
        pytest.skip(NOT_INSTALLED)
    return path


@asynccontextmanager
async def run_chromium(path: str) -> AsyncIterator[Browser]:
    before = _children()
    async with async_playwright() as playwright:
        drivers = _children() - before  # Playwright's own process, the parent of the browser's
        OWNED.update(drivers)
        try:
            # Chromium's sandbox does not work for root.
            browser = await playwright.chromium.launch(
                executable_path=path, chromium_sandbox=os.geteuid() != 0, args=_ARGUMENTS, timeout=PATIENCE_MS
            )
            try:
                yield browser
            finally:
                await browser.close()
        finally:
            OWNED.difference_update(drivers)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@dataclass
class Watch:
    """What the pages of a context did that they may not do.

    `elsewhere`: the identity provider's origin, where a browser may only be sent to as a whole. `statuses`: those
    that a test expects; the browser reports each as an error.
    """

    origin: str
    elsewhere: str
    faults: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def follow(self, context: BrowserContext) -> None:
        context.on("request", self._note_request)
        context.on("console", self._note_message)
        context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        context.on("page", self._follow_page)

    def check(self) -> None:
        faults, self.faults = self.faults, []
        assert faults == [], "\n".join(faults)

    def _follow_page(self, page: Page) -> None:
        page.on("crash", lambda _: self.faults.append("the page crashed"))

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin == self.origin or (origin == self.elsewhere and request.is_navigation_request()):
            return
        if parts.scheme == "blob" and request.url.startswith(f"blob:{self.origin}/"):
            return
        self.faults.append(f"request to {request.url[:200]}")

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = _STATUS.match(message.text)
        if status is not None and int(status[1]) in self.statuses:
            return
        at = message.location
        self.faults.append(f"{message.type}: {message.text} ({at.get('url', '')}:{at.get('lineNumber', '')})")
