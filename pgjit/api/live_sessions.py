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
        self._all: tuple[float, str] | None = None
        self._own: tuple[float, dict[IdentityKey, list[SessionView]]] | None = None

    def text(self, caller: Caller) -> str:
        """The data of an event, as JSON: those of all if the caller may list them, else the caller's own.

        It is at most an interval old. It has no time of its own, so it is the same while nothing changes.
        """
        now = self._steady()
        if caller.reads_all:
            if self._all is None or now - self._all[0] >= LIVE_SECONDS / 2:
                self._all = now, self._written(self._registry.latest_views(_MOST), len(self._registry))
            return self._all[1]
        if self._own is None or now - self._own[0] >= LIVE_SECONDS / 2:
            own: dict[IdentityKey, list[SessionView]] = {}
            for view in self._registry.views():
                own.setdefault(view.identity.key, []).append(view)
            self._own = now, own
        mine = self._own[1].get(caller.key, [])
        return self._written(mine[: -_MOST - 1 : -1], len(mine))

    def _written(self, views: Sequence[SessionView], count: int) -> str:
        sessions = [SessionJson.of(view, self._node).model_dump(mode="json") for view in views]
        return json.dumps({"node": self._node, "sessions": sessions, "more": count > len(views)})
