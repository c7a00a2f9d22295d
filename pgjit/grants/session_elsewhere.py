"""A live session of another node, as far as the store knows it. Values only.

The node that has the session knows more: its state, the client's address and program, what it ran.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.grants.server_process import ServerProcess
from pgjit.grants.window import Window

__all__ = ["SessionElsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionElsewhere:
    id: str
    node: str
    window: Window
    process: ServerProcess | None  # its backend; None: its entry cannot be read
