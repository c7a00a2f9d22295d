"""The presets that a policy's statement section starts from."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Preset"]


class Preset(StrEnum):
    """What a policy allows before its entries."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    FULL = "full"  # everything is recorded and nothing refused: for break-glass
