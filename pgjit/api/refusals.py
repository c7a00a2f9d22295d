"""The errors of the HTTP API itself. Those of requests, windows and locks come from the rooms that decide them.

Decides their wording and HTTP status. A refused token has one text, whatever was wrong with it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from pgjit.errors import PgjitError

__all__ = [
    "AuditPreparing",
    "BearerRefused",
    "CallRefused",
    "InvalidCall",
    "MembershipsUnknown",
    "NothingThere",
    "RoleRequired",
    "TooManyCalls",
    "TooManyRefusedCalls",
]


class CallRefused(PgjitError):
    """A call that is refused as such. `status` is the HTTP status. `position`: in a text that the caller sent."""

    sqlstate = "28000"

    def __init__(
        self,
        message: str,
        *,
        reference: str,
        status: int,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint, position=position)
        self._status = status

    def problem(self) -> dict[str, object]:
        place = {} if self.position is None else {"position": self.position}
        return {**super().problem(), "status": self._status, **place}


class AuditPreparing(CallRefused):
    """The journal's closed segments are read for the first time, which takes longer than a call may."""

    def __init__(self, done: int, whole: int, seconds: int) -> None:
        """`done`, `whole`: bytes."""
        share = 100 * done // max(whole, 1)
        super().__init__(
            "audit is being prepared",
            reference="audit-preparing",
            status=503,
            detail=(
                f"The journal's closed segments are read for the first time: {share} % of "
                f"{whole / 1e6:,.0f} MB are done."
            ),
            hint=f"Call again in {seconds} s: it goes on meanwhile.",
        )
        self.seconds = seconds
        self._progress = {"done": done, "whole": whole}

    def problem(self) -> dict[str, object]:
        """The problem, and how much has been prepared, in bytes."""
        return {**super().problem(), "progress": self._progress}


class BearerRefused(CallRefused):
    """There is no token, or the provider does not accept it. The journal has the reason."""

    def __init__(self) -> None:
        super().__init__(
            "access token was not accepted",
            reference="token-refused",
            status=401,
            hint="Get a fresh access token for the audience of this API and send it as `Authorization: Bearer`.",
        )


class RoleRequired(CallRefused):
    """The caller has none of the roles that may do this."""

    def __init__(self, roles: Collection[str], *, person: bool) -> None:
        needed = " or ".join(f"`{role}`" for role in sorted(roles))
        super().__init__(
            "call is not open to you",
            reference="role-required",
            status=403,
            detail=f"It requires the role {needed}."
            if person
            else f"It requires the role {needed}, which apps and agents never have.",
            hint="Ask to join a group that `api.roles` of this proxy names for it, or let somebody else call.",
        )


class InvalidCall(CallRefused):
    """The call is malformed: its path, query, header or body."""

    sqlstate = "22023"

    def __init__(self, detail: str, *, reference: str = "invalid-call", status: int = 422) -> None:
        super().__init__(
            "call is not valid",
            reference=reference,
            status=status,
            detail=detail,
            hint="See /api/v1/openapi.json for what each call takes.",
        )


class NothingThere(CallRefused):
    """No such object, or none that the caller may see: the same text for both."""

    sqlstate: ClassVar[str] = "42704"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(
            f"{what} `{name}` is not known",
            reference=f"{what}-unknown",
            status=404,
            detail="There is none, or you may not see it: what you see depends on your roles (`GET whoami`).",
            hint="Check the id; `GET` on the list shows those that you may see.",
        )


class TooManyCalls(CallRefused):
    """The caller, or the address, makes more calls than it may."""

    sqlstate = "54000"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "too many calls",
            reference="too-many-calls",
            status=429,
            detail="Calls are limited for each identity and for each address.",
            hint=f"Call again in {seconds} s.",
        )
        self.seconds = seconds


class TooManyRefusedCalls(TooManyCalls):
    """One address sends more tokens that are not accepted than it may. Its connection is closed without an answer."""


class MembershipsUnknown(CallRefused):
    """The groups of another identity cannot be looked up here."""

    sqlstate = "55000"

    def __init__(self) -> None:
        super().__init__(
            "groups of another identity are not known here",
            reference="memberships-unknown",
            status=409,
            detail="This proxy has no directory to look them up (`identity.graph`).",
            hint="Ask by `group`, or configure `identity.graph`.",
        )
