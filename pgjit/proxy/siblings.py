"""The other workers of this node, which accept from the same port: what a worker has to ask them, or about them.

Decides nothing. Without siblings, as in a node with one process, its own counts and sessions are all there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pgjit.errors import PgjitError
from pgjit.grants.holder import HolderKey

__all__ = ["SharedAdmission", "Siblings", "SupervisorGone"]


class SupervisorGone(PgjitError):
    """Nobody counts the sessions of all workers any more: this one opens none, and ends."""

    sqlstate = "57P03"  # libpq tries its next host on this one
    severity = "FATAL"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "this worker of pgjit has lost its supervisor, and ends",
            reference="supervisor-gone",
            detail="It opens no session: nobody counts the sessions of all workers any more.",
            hint="Connect again in a moment, or to another node: an open window is joined by the next connection.",
        )


@dataclass(frozen=True, slots=True)
class SharedAdmission:
    """`accepted`: the connection counts, and must `leave`. `limit`: which limit of the node is reached."""

    accepted: bool
    limit: Literal["connections", "address"] | None = None


class Siblings(Protocol):
    def on_death(self, take_over: Callable[[str, str], Awaitable[None]]) -> None:
        """`take_over`: called with the node and the run of a worker that has died: this one ends what it left."""

    async def enter(self, network: str) -> SharedAdmission:
        """Count a connection of this network towards the limits of the node. Not accepted while the node stops."""

    def leave(self, network: str) -> None:
        """A connection that was accepted has ended."""

    async def take_place(self, holder: HolderKey) -> bool:
        """Count a session towards `limits.sessions_per_identity`; False if the identity has as many already.

        Raises SupervisorGone.
        """

    def leave_place(self, holder: HolderKey) -> None: ...

    def answer_cancels(self, cancel_here: Callable[[int, bytes], Awaitable[bool]]) -> None:
        """`cancel_here`: cancels in the session of this worker that has the key; False if none has it."""

    async def cancel(self, pid: int, secret: bytes) -> bool:
        """Cancel in the session of another worker that has this key; False if none has it."""
