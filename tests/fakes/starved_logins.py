"""Clients that log in without an end, so that no other work of theirs gets its turn of the event loop."""

from __future__ import annotations

import asyncio

import pytest

from pgjit import turns
from pgjit.of_loop import OfLoop

__all__ = ["starve_logins"]


class _OnlyEnds(turns.Turns):
    async def take(self, *, ends: bool = False) -> None:
        if not ends:
            await asyncio.get_running_loop().create_future()


def starve_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on only what ends a session gets a turn in the event loop."""
    monkeypatch.setattr(turns, "_turns", OfLoop(_OnlyEnds))
