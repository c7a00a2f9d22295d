"""The sessions of this node as they are now, for readers of events that follow them.

Decides how often they are looked at: once for all readers, however many there are. Only what has changed is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from pgjit.api.caller import Caller
from pgjit.api.shapes import SessionJson
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.registry import Registry, SessionView

__all__ = ["LIVE_SECONDS", "LiveSessions"]

LIVE_SECONDS: Final = 2.0
_MOST: Final = 200  # sessions in one event, the latest; `more` shows that there are others


class LiveSessions:
    """`steady` is a monotonic clock, in seconds."""

    def __init__(self, registry: Registry, node: str, steady: Callable[[], float]) -> None:
        self._registry = registry
        self._node = node
        self._steady = steady
        self._texts: dict[IdentityKey | None, tuple[float, str]] = {}  # None: of all sessions

    def text(self, caller: Caller) -> str:
        """The data of an event, as JSON: those of all if the caller may list them, else the caller's own.

        It is at most an interval old. It has no time of its own, so it is the same while nothing changes.
        """
        whose, now = None if caller.reads_all else caller.key, self._steady()
        known = self._texts.get(whose)
        if known is not None and now - known[0] < LIVE_SECONDS / 2:
            return known[1]
        count = len(self._registry if whose is None else self._registry.of_identity(whose))
        text = self._written(self._registry.latest_views(_MOST, whose), count)
        self._texts = {key: each for key, each in self._texts.items() if now - each[0] < LIVE_SECONDS / 2}
        self._texts[whose] = now, text
        return text

    def _written(self, views: Sequence[SessionView], count: int) -> str:
        sessions = [SessionJson.of(view, self._node).model_dump(mode="json") for view in views]
        return json.dumps({"node": self._node, "sessions": sessions, "more": count > len(views)})
