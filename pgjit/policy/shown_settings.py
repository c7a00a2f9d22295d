"""The settings whose value may be shown to everybody: `shown_settings.txt`. Its head explains the list."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["SHOWN"]

SHOWN = frozenset(
    line
    for line in (files("pgjit.policy") / "shown_settings.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
