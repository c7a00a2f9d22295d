"""What a browser test stands on: one Chromium and one pgjit at work for a file of tests, a visitor for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import RegisteredPrincipal
from tests.console.browser.chromium import need_chromium, run_chromium
from tests.console.browser.town import Town, open_town
from tests.console.browser.visitor import Look, Visitor, Visitors
from tests.run.loops import new_uvloop
from tests.run.processes import OWNED

Visit = Callable[..., Awaitable[Visitor]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that `pgjit serve` runs on."""
    return {"uvloop": new_uvloop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with run_chromium(need_chromium()) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    need_chromium()  # nothing is started where there is no browser
    database: DemoDatabase = request.getfixturevalue("database")
    try:
        async with open_town(database, Path(tmp_path_factory.mktemp("town"))) as opened:
            yield opened
    finally:
        OWNED.difference_update(_of_towns)


_of_towns: set[int] = set()
"""Processes that a town starts when they are first needed, such as the one that reads the journal."""


@pytest.fixture(autouse=True)
def _children_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test made the town start stays as long as the town: tests/run/needs.py looks at what is left then."""
    yield
    if "town" in request.fixturenames:
        made = {child.pid for child in psutil.Process().children()} - OWNED
        _of_towns.update(made)
        OWNED.update(made)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visitors(chromium: Browser, town: Town) -> Visitors:
    return Visitors(chromium, town)


@pytest_asyncio.fixture(loop_scope="module")
async def visit(visitors: Visitors) -> AsyncIterator[Visit]:
    """`await visit(town.ana)`: a visitor who is signed in. Every page that was open must have behaved."""
    opened: list[Visitor] = []
    async with AsyncExitStack() as stack:

        async def enter(person: RegisteredPrincipal | None, look: Look | None = None) -> Visitor:
            opened.append(await visitors.enter(stack, person, look))
            return opened[-1]

        yield enter
        for each in opened:
            each.watch.check()
