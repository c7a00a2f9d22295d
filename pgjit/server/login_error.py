"""One login attempt at one address: its current step, and whether its failure moves on to the next address.

Decides the wording of a failure in the journal. Does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LoginAttempt", "LoginFailed"]


class LoginFailed(Exception):
    """`step` failed at `place` for `reason`. `try_next`: try the next address, as libpq would."""

    def __init__(
        self,
        place: str,
        step: str,
        reason: str,
        *,
        try_next: bool = False,
        sqlstate: str | None = None,
        server_message: str = "",
    ) -> None:
        super().__init__(f"{place}: {step}: {reason}")
        self.step = step
        self.reason = reason
        self.try_next = try_next
        self.sqlstate = sqlstate  # of the server's error
        self.server_message = server_message


@dataclass(slots=True)
class LoginAttempt:
    place: str
    step: str = "connecting"

    def failed(
        self, reason: str, *, try_next: bool = False, sqlstate: str | None = None, server_message: str = ""
    ) -> LoginFailed:
        return LoginFailed(
            self.place, self.step, reason, try_next=try_next, sqlstate=sqlstate, server_message=server_message
        )
