"""The sessions of this node as they are now, for readers of events that follow them.

Decides how often they are looked at: once for all readers, however many there are. Only what has changed is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from pgjit.api.caller import Caller
from pgjit.api.shapes import SessionJson
from pgjit.proxy.registry import Registry

__all__ = ["LIVE_SECONDS", "LiveSessions"]

LIVE_SECONDS: Final = 2.0
_MOST: Final = 200  # sessions in one event, the latest; `more` says that there are others


class LiveSessions:
    """`steady` is a monotonic clock, in seconds."""

    def __init__(self, registry: Registry, node: str, steady: Callable[[], float]) -> None:
        self._registry = registry
        self._node = node
        self._steady = steady
        self._of_all: tuple[float, str] | None = None

    def text(self, caller: Caller) -> str:
        """The data of an event, as JSON: those of all if the caller may list them, else the caller's own.

        The text of all is at most an interval old. It has no time of its own, so it is the same while nothing
        changes.
        """
        if not caller.reads_all:
            return self._written(caller)
        now = self._steady()
        if self._of_all is None or now - self._of_all[0] >= LIVE_SECONDS / 2:
            self._of_all = now, self._written(None)
        return self._of_all[1]

    def _written(self, owner: Caller | None) -> str:
        views = [view for view in self._registry.views() if owner is None or view.identity.key == owner.key]
        views.sort(key=lambda view: (view.opened_at, view.id), reverse=True)
        sessions = [SessionJson.of(view, self._node).model_dump(mode="json") for view in views[:_MOST]]
        return json.dumps({"node": self._node, "sessions": sessions, "more": len(views) > _MOST})
