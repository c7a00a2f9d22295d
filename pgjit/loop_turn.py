"""The end of a turn: what runs once, after all sockets that are ready at the same time were handled.

Decides when it runs. While sockets are handled (`handling`), that is right after the last of them: what the sessions
share is done in the same turn of the event loop, before it waits again. Otherwise the loop does it in its next turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["Handling", "at_end_of_turn"]


_Calls = list[Callable[[], None]]
_here: Final = threading.local()  # `waiting`: what runs at the end of the turn that is under way in this thread


def at_end_of_turn(call: Callable[[], None]) -> None:
    """Run `call` at the end of this turn. It must be quick."""
    waiting: _Calls | None = getattr(_here, "waiting", None)
    if waiting is None:
        asyncio.get_running_loop().call_soon(call)
    else:
        waiting.append(call)


class Handling:
    """`with Handling(loop):` around the handlers of all sockets that are ready."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        _here.waiting = []

    def __exit__(self, _kind: object, _fault: object, _trace: object) -> None:
        try:
            calls: _Calls = _here.waiting
            while calls:
                _here.waiting = []
                for call in calls:
                    self._run(call)
                calls = _here.waiting
        finally:
            _here.waiting = None

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as fault:  # noqa: BLE001 - the others run all the same
            self._loop.call_exception_handler({"message": "the end of a turn has failed", "exception": fault})
