"""uvloop for tests: a connection that a failed test left open fails the test, and does not hang it.

uvloop's `close` warns of each transport that is still open, and closes it afterwards. Warnings are errors in tests:
the transport stayed open, and `close` waited for its end for ever. Here the warnings come when all is closed.
"""

from __future__ import annotations

import asyncio
import warnings

import uvloop

__all__ = ["new_uvloop"]


class _WarnsWhenClosed(uvloop.Loop):
    def close(self) -> None:
        with warnings.catch_warnings(record=True) as left_open:
            warnings.simplefilter("always", ResourceWarning)
            super().close()
        for each in left_open:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def new_uvloop() -> asyncio.AbstractEventLoop:
    return _WarnsWhenClosed()
