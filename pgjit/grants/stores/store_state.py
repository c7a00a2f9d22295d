"""What `pgjit store` reports of a store that a node can use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoreState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """`schema`: its version; None for a file that does not exist yet. `made`: the versions that an upgrade made."""

    kind: str
    name: str
    schema: str | None
    server: str | None = None
    made: tuple[str, ...] = ()
