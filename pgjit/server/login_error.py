"""One try to log in at one address: the step that it is at, and what its failure means for the next address.

Decides the wording of a failure for the journal. Opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LoginAttempt", "LoginFailed"]


class LoginFailed(Exception):
    """`step` failed at `place` for `reason`. `moves_on`: another address may do better, as libpq sees it."""

    def __init__(
        self,
        place: str,
        step: str,
        reason: str,
        *,
        moves_on: bool = False,
        sqlstate: str | None = None,
        said: str = "",
    ) -> None:
        super().__init__(f"{place}: {step}: {reason}")
        self.step = step
        self.reason = reason
        self.moves_on = moves_on
        self.sqlstate = sqlstate  # of the server's own error
        self.said = said  # the server's own message


@dataclass(slots=True)
class LoginAttempt:
    place: str
    step: str = "connecting"

    def failed(
        self, reason: str, *, moves_on: bool = False, sqlstate: str | None = None, said: str = ""
    ) -> LoginFailed:
        return LoginFailed(self.place, self.step, reason, moves_on=moves_on, sqlstate=sqlstate, said=said)
