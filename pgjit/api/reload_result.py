"""What a reload of the configuration changed, or why it changed nothing. Values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgjit.api.refusals import CallRefused
from pgjit.grants.actor import Actor

__all__ = ["ChangedNames", "EndedEarlier", "ReloadRefused", "ReloadResult", "ReloadService", "ReloadStanding"]


@dataclass(frozen=True, slots=True)
class ChangedNames:
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.added, *self.changed, *self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedEarlier:
    """A window that ends earlier than it did. `reason`: `ttl` if it only became shorter."""

    id: str
    policy: str
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    config_hash: str
    policies: ChangedNames = ChangedNames()
    connections: ChangedNames = ChangedNames()
    keys: tuple[str, ...] = ()  # other keys whose new values are in force
    restart: tuple[str, ...] = ()  # keys whose new values need a restart
    windows: tuple[EndedEarlier, ...] = ()
    sessions_following: int = 0  # that go on, judged by the new rules
    sessions_leaving: int = 0  # that have to log in again
    warnings: tuple[str, ...] = ()


class ReloadRefused(CallRefused):
    """Nothing was changed. `faults`: each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(
            f"configuration has {count}, and nothing was changed",
            reference="reload-refused",
            status=422,
            detail=faults[0],
            hint="Correct the files, check them with `pgjit check`, and reload again.",
        )
        self.faults = tuple(faults)

    def problem(self) -> dict[str, object]:
        return {**super().problem(), "faults": list(self.faults)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadStanding:
    """What is in force, and what was wrong with what was read last, if that was refused."""

    in_force_since: datetime
    refused_at: datetime | None = None
    faults: tuple[str, ...] = ()  # the first of them, each with its place
    restart: tuple[str, ...] = ()  # keys whose values in the files need a restart


class ReloadService(Protocol):
    @property
    def standing(self) -> ReloadStanding: ...

    async def run(self, trigger: str, by: Actor | None = None) -> ReloadResult:
        """Read the files again, and put in force what they say. Raises ReloadRefused: then nothing was changed."""
