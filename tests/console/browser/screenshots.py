"""Pictures of each page: `python -m tests.console.browser.screenshots FOLDER [NAME...]`, for people to look at.

Both themes, on a phone and on a desk: `live-dark-phone.png`. With names, only those stops of the tour.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from pgjit.demo.database import DemoDatabase
from tests.console.browser.chromium import NOT_INSTALLED, find_chromium, run_chromium
from tests.console.browser.tour import TOUR, Stop
from tests.console.browser.town import Town, open_town
from tests.console.browser.visitor import THEMES, WIDTHS, Look, Visitors

__all__ = ["main"]

_TALLEST = 4000  # pixels


async def main(target: Path, names: list[str]) -> int:
    """The exit code: 1 where a page did not open or did not behave."""
    if (path := find_chromium()) is None:
        print(NOT_INSTALLED, file=sys.stderr)
        return 2
    target.mkdir(parents=True, exist_ok=True)
    stops = [stop for stop in TOUR if not names or stop.name in names]
    with tempfile.TemporaryDirectory(prefix="pgjit-pages-", ignore_cleanup_errors=True) as folder:
        database = DemoDatabase()
        database.start(Path(folder))
        try:
            async with run_chromium(path) as browser, open_town(database, Path(folder) / "town") as town:
                faults = await _take_all(browser, town, stops, target)
        finally:
            database.stop()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


async def _take_all(browser: Browser, town: Town, stops: list[Stop], target: Path) -> list[str]:
    visitors, faults = Visitors(browser, town), []
    for stop in stops:
        for theme in THEMES:
            for name, width in WIDTHS.items():
                file = target / f"{stop.name}-{theme}-{name}.png"
                try:
                    await _take(visitors, stop, Look(theme, width), file)
                except AssertionError as error:
                    faults.append(f"{file.name}: {error}")
        print(stop.name, flush=True)
    return faults


async def _take(visitors: Visitors, stop: Stop, look: Look, file: Path) -> None:
    who = None if stop.who is None else getattr(visitors.town, stop.who)
    async with visitors.of(who, look) as visitor:
        await stop.open(visitor)
        height = await visitor.page.evaluate("() => document.documentElement.scrollHeight")
        await visitor.page.set_viewport_size({"width": look.width, "height": max(look.height, min(height, _TALLEST))})
        await visitor.page.screenshot(path=file, animations="disabled")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])))
