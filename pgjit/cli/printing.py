"""Prints what the API returned: its JSON, or a text of `grant_texts.py`, once or again and again.

Decides the width of texts (80 columns where there is no terminal) and how many items of a list are shown.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from pgjit.cli.api_client import ApiClient, Item, ItemList
from pgjit.cli.event_bell import EventBell
from pgjit.cli.following import watch
from pgjit.cli.status import Status

__all__ = ["print_item", "print_list", "width"]

_MOST: Final = 100
_NOT_COMPLETE: Final = (
    "NOT COMPLETE: the store cannot be read. Those of other nodes are missing:\nask each node with --api."
)

Table = Callable[[Sequence[Item], datetime, int], str]
Details = Callable[[Item, datetime, int], str]


def width() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def print_list(fetch: Callable[[], ItemList], table: Table, *, as_json: bool, again: ApiClient | None) -> Status:
    """Print the list, the first 100 items of it; with `as_json` all of it. With `again` whenever it changes."""

    def draw() -> str:
        found = fetch()
        if as_json:
            document: Item = {"items": list(found)}
            sign = {} if found.complete is None else {"complete": found.complete}
            return _json(document | sign, lines=again is not None)
        items = list(islice(found, _MOST + 1))
        lines = [table(items[:_MOST], datetime.now(UTC), width())]
        lines += [f"Only the latest {_MOST} are shown; --json prints all."] if len(items) > _MOST else []
        return "\n".join([*lines, *([_NOT_COMPLETE] if found.complete is False else [])])

    return _print(draw, again=again)


def print_item(
    fetch: Callable[[], Item], details: Details, *, as_json: bool, again: ApiClient | None = None
) -> Status:
    def draw() -> str:
        item = fetch()
        return _json(item, lines=again is not None) if as_json else details(item, datetime.now(UTC), width())

    return _print(draw, again=again)


def _json(document: Item, *, lines: bool) -> str:
    """One line for each document where there are several."""
    return json.dumps(document, ensure_ascii=False, indent=None if lines else 2)


def _print(draw: Callable[[], str], *, again: ApiClient | None) -> Status:
    if again is None:
        print(draw())
        return Status.OK
    bell = EventBell(again.event_lines)
    try:
        watch(draw, bell.wait)
    finally:
        bell.close()
    return Status.OK
