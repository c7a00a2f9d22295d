"""What happened to the configuration while pgjit runs, as values: it was reloaded, or a reload was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.actor import Actor

__all__ = ["ConfigReloaded", "ReloadEvent", "ReloadFailed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadEvent:
    at: datetime
    trigger: str  # `signal`, `api` or `watch`
    by: Actor | None  # the person who called the API


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReloaded(ReloadEvent):
    """Written before the new configuration is in force. Every later execution was judged by these policies."""

    config_hash: str
    policies: tuple[tuple[str, str], ...]  # (name, version): all of them
    changed: tuple[str, ...]  # what is in force now: `policy reader`, `connection prod`, `limits.connections`
    restart: tuple[str, ...]  # keys whose new values need a restart


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadFailed(ReloadEvent):
    """The files have faults: nothing was changed."""

    faults: tuple[str, ...]
    count: int  # of all faults; `faults` has the first of them
