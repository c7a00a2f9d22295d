"""Pictures of each page: `python -m tests.console.browser.screenshots FOLDER [NAME...]`, for people to look at.

Both themes, on a phone and on a desk: `live-dark-phone.png`. With names, only those stops of the tour. With `--docs`
those of README.md and docs/console.md, of the size that they have there: `FOLDER` is docs/images.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from pgjit.demo.database import DemoDatabase
from tests.console.browser.chromium import NOT_INSTALLED, find_chromium, run_chromium
from tests.console.browser.tour import TOUR, Stop
from tests.console.browser.town import open_town
from tests.console.browser.visitor import THEMES, WIDTHS, Look, Visitors

__all__ = ["main"]

_TALLEST = 4000  # pixels
_IN_DOCS = ("request", "live", "window")
_DOCS_LOOK = Look(width=1180, height=820)


async def main(target: Path, names: list[str]) -> int:
    """The exit code: 1 where a page did not open or did not behave."""
    if (path := find_chromium()) is None:
        print(NOT_INSTALLED, file=sys.stderr)
        return 2
    target.mkdir(parents=True, exist_ok=True)
    for_docs = "--docs" in names
    stops = [stop for stop in TOUR if stop.name in (_IN_DOCS if for_docs else names) or not names]
    with tempfile.TemporaryDirectory(prefix="pgjit-pages-", ignore_cleanup_errors=True) as folder:
        database = DemoDatabase()
        database.start(Path(folder))
        try:
            async with run_chromium(path) as browser, open_town(database, Path(folder) / "town") as town:
                visitors = Visitors(browser, town)
                if for_docs:
                    faults = [await _take_for_docs(visitors, stop, target) for stop in stops]
                else:
                    faults = await _take_all(visitors, stops, target)
        finally:
            database.stop()
    for fault in filter(None, faults):
        print(fault, file=sys.stderr)
    return 1 if any(faults) else 0


async def _take_for_docs(visitors: Visitors, stop: Stop, target: Path) -> str:
    """What is wrong with the page, if anything is."""
    try:
        await _take(visitors, stop, _DOCS_LOOK, target / f"console-{stop.name}.png", whole=False)
    except AssertionError as error:
        return f"{stop.name}: {error}"
    return ""


async def _take_all(visitors: Visitors, stops: list[Stop], target: Path) -> list[str]:
    faults = []
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


async def _take(visitors: Visitors, stop: Stop, look: Look, file: Path, *, whole: bool = True) -> None:
    who = None if stop.who is None else getattr(visitors.town, stop.who)
    async with visitors.of(who, look) as visitor:
        await stop.open(visitor)
        if whole:
            height = await visitor.page.evaluate("() => document.documentElement.scrollHeight")
            height = max(look.height, min(height, _TALLEST))
            await visitor.page.set_viewport_size({"width": look.width, "height": height})
        await visitor.page.screenshot(path=file, animations="disabled")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])))
