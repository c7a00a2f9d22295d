"""The place of a worker process on its node. A value: one process that serves alone has none."""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.proxy.siblings import Siblings

__all__ = ["WorkerPlace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    siblings: Siblings
    run: str  # of this process on the store
    dead: tuple[str, ...]  # runs of this name that are known to have ended
