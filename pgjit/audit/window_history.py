"""Windows as the journal's records show them, and which of them a store has lost. Pure.

A store that was rolled back, emptied or deleted has lost windows whose cooldown is not over. The journal still has
them. Decides that such a window has ended. Does not know how records are read, nor where windows are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pgjit.grants.usage import Usage
from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey

__all__ = ["LOST", "LostWindow", "RecordedWindow", "lost_windows", "usages_of", "windows_of"]

LOST = "store-lost"
"""The reason of an end that is set because the store lost the window while it was open."""


@dataclass(frozen=True, slots=True)
class RecordedWindow:
    """A window as its records show it: with its end, if the end is recorded."""

    window: Window
    ended: bool


@dataclass(frozen=True, slots=True)
class LostWindow:
    """A window to restore. `end_due`: its end is not in the journal yet."""

    window: Window
    end_due: bool


def windows_of(records: Iterable[Mapping[str, Any]]) -> list[RecordedWindow]:
    """The windows whose opening is among `records`, in order of opening. Raises KeyError, TypeError, ValueError."""
    opened: list[Window] = []
    ends: dict[str, tuple[datetime, str]] = {}
    for record in records:
        if record["type"] == "window.opened":
            opened.append(_window(record))
        elif record["type"] == "window.ended":
            ends[record["window"]["id"]] = datetime.fromisoformat(record["time"]), record["reason"]
    found = []
    for window in sorted(opened, key=lambda each: each.opened_at):
        end = ends.get(window.id)
        ended = window if end is None else replace(window, ended_at=min(end[0], window.ends_at), end_reason=end[1])
        found.append(RecordedWindow(ended, end is not None))
    return found


def lost_windows(recorded: Iterable[RecordedWindow], kept: Mapping[str, Window], now: datetime) -> list[LostWindow]:
    """The windows that are not in the store (`kept`), and whose cooldown is not over.

    INVARIANT: a lost window is never joined again: nobody knows how much of its budget was left.
    """
    lost = []
    for each in recorded:
        window = each.window
        if window.id in kept or window.retry_at <= now:
            continue
        if each.ended:
            lost.append(LostWindow(window, end_due=False))
        else:
            at = min(now, window.ends_at)
            reason = "ttl" if window.ends_at <= now else LOST
            lost.append(LostWindow(replace(window, ended_at=at, end_reason=reason), end_due=True))
    return lost


def usages_of(outcomes: Iterable[Mapping[str, Any]], window_ids: Collection[str]) -> dict[str, Usage]:
    """The usage of these windows, summed over their recorded outcomes. Raises KeyError and TypeError."""
    used = {window_id: Usage() for window_id in window_ids}
    for outcome in outcomes:
        usage = used.get(outcome["window"])
        if usage is not None and outcome["ended"] != "skipped":
            usage.rows += outcome["rows"]
            usage.bytes += outcome.get("bytes", 0)
            usage.statements += 1
    return used


def _window(record: Mapping[str, Any]) -> Window:
    window, identity = record["window"], record["identity"]
    ends_at = datetime.fromisoformat(window["ends_at"])
    retry_at = window.get("retry_at")  # records of earlier versions have none
    return Window(
        id=window["id"],
        identity=IdentityKey(identity["tid"], identity["oid"]),
        policy=record["policy"],
        connection=record["connection"],
        opened_at=datetime.fromisoformat(window["opened_at"]),
        ends_at=ends_at,
        retry_at=ends_at if retry_at is None else datetime.fromisoformat(retry_at),
        source=record["source"].rpartition(":")[0],
        display=identity.get("display"),
    )
