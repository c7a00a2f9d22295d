"""The errors that a person or an agent reads. Each has PostgreSQL's own fields: SQLSTATE, message, detail, hint.

Decides the wording, the SQLSTATE and the severity of each error. Does not know how an error travels: the wire
protocol, the HTTP API and the terminal each render the same value. The rules of a policy word their own refusals, as
a `StatementRefused`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar

__all__ = [
    "AccessRefused",
    "BudgetSpent",
    "CatalogBeingRead",
    "CoolingDown",
    "InvalidFile",
    "JournalUnavailable",
    "PgjitError",
    "ProtocolFault",
    "ServerEndedSession",
    "ServerNotAccepting",
    "ServerUnavailable",
    "SettingRejected",
    "ShuttingDown",
    "StatementRefused",
    "TlsRequired",
    "TokenRefused",
    "TooManyConnections",
    "WindowOver",
    "utc_text",
]

_REFERENCE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def utc_text(moment: datetime) -> str:
    """`moment` as people read it in an error: `2026-11-24 09:30:00 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class PgjitError(Exception):
    """What happened, where, and what would be accepted instead.

    `message` is lower case without a final period. `detail` says what and where, `hint` says what would be
    accepted or how to get it. `position` counts characters of the statement from 1, as PostgreSQL's field `P`.
    `reference` is stable and in kebab-case: it names the documentation of this error.
    """

    sqlstate: ClassVar[str]
    severity: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 400

    def __init__(
        self,
        message: str,
        *,
        reference: str,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        if not _REFERENCE.match(reference):
            raise ValueError(f"an error's reference is kebab-case, not {reference!r}")
        super().__init__(message)
        self.reference = reference
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position

    def fields(self) -> dict[str, str]:
        """The fields of an ErrorResponse (PostgreSQL documentation, "Error and Notice Message Fields")."""
        fields = {"S": self.severity, "V": self.severity, "C": self.sqlstate, "M": self.message}
        if self.detail is not None:
            fields["D"] = self.detail
        if self.hint is not None:
            fields["H"] = self.hint
        if self.position is not None:
            fields["P"] = str(self.position)
        fields["R"] = f"pgjit:{self.reference}"
        return fields

    def problem(self) -> dict[str, object]:
        """The error as problem details for an HTTP API (RFC 9457)."""
        problem: dict[str, object] = {
            "type": f"urn:pgjit:error:{self.reference}",
            "title": self.message,
            "status": self.status,
            "sqlstate": self.sqlstate,
        }
        if self.detail is not None:
            problem["detail"] = self.detail
        if self.hint is not None:
            problem["hint"] = self.hint
        return problem

    def terminal(self) -> str:
        """The error for a terminal, one field a line."""
        lines = [f"error: {self.message} [{self.reference}]"]
        if self.detail is not None:
            lines.append(f"detail: {self.detail}")
        if self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class TokenRefused(PgjitError):
    """The password is not a token that the provider accepts.

    `reason` (kebab-case) and `explanation` are for the journal only. The client reads the same text whatever was
    wrong, so that nobody learns from it how far a forged token got.
    """

    sqlstate = "28P01"
    severity = "FATAL"
    status = 401

    def __init__(self, reason: str, explanation: str) -> None:
        super().__init__(
            "access token was not accepted",
            reference="token-refused",
            hint="Get a fresh access token for this proxy's audience and give it as the password.",
        )
        self.reason = reason
        self.explanation = explanation


class AccessRefused(PgjitError):
    """The token is valid, but its identity may not use this connection now."""

    sqlstate = "28000"
    severity = "FATAL"
    status = 403

    def __init__(self, message: str, *, reference: str, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint)


class TlsRequired(AccessRefused):
    """A startup message came over an unencrypted link. It is refused before a password is requested."""

    def __init__(self) -> None:
        super().__init__(
            "connection is not encrypted",
            reference="tls-required",
            detail="An access token never travels over an unencrypted connection.",
            hint="Connect with sslmode=verify-full.",
        )


class CoolingDown(AccessRefused):
    """The window of this identity under this policy is over, and the policy's cooldown has not passed yet."""

    def __init__(self, *, policy: str, ended_at: datetime, retry_at: datetime) -> None:
        super().__init__(
            f"window under policy `{policy}` is over",
            reference="cooling-down",
            detail=f"It ended at {utc_text(ended_at)}. Nothing done by its holder moves that end.",
            hint=f"A new window may be requested from {utc_text(retry_at)}: connect again then.",
        )
        self.ended_at = ended_at
        self.retry_at = retry_at


class StatementRefused(PgjitError):
    """A rule refused the statement. `reference` is the rule's name."""

    sqlstate = "42501"
    status = 403

    def __init__(
        self,
        message: str,
        *,
        reference: str,
        sqlstate: str = "42501",
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint, position=position)
        self._sqlstate = sqlstate

    def fields(self) -> dict[str, str]:
        return {**super().fields(), "C": self._sqlstate}

    def problem(self) -> dict[str, object]:
        return {**super().problem(), "sqlstate": self._sqlstate}


class BudgetSpent(PgjitError):
    """A limit of the proxy or of the policy is reached."""

    sqlstate = "54000"
    status = 429

    def __init__(self, message: str, *, reference: str, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint)


class TooManyConnections(PgjitError):
    """A limit on connections is reached: of the proxy, of one address or of one identity."""

    sqlstate = "53300"
    severity = "FATAL"
    status = 429

    def __init__(self, message: str, *, reference: str, detail: str, hint: str) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint)


class WindowOver(PgjitError):
    """The window is over, and the session ends with it."""

    sqlstate = "57P01"
    severity = "FATAL"
    status = 403

    def __init__(self, *, policy: str, ended_at: datetime, retry_at: datetime, reason: str = "ttl") -> None:
        super().__init__(
            f"terminating connection: window under policy `{policy}` is over",
            reference="window-ended",
            detail=f"It ended at {utc_text(ended_at)} ({reason}).",
            hint=f"A new window may be requested from {utc_text(retry_at)}: connect again then.",
        )


class ShuttingDown(PgjitError):
    """pgjit itself is stopping."""

    sqlstate = "57P01"
    severity = "FATAL"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "terminating connection: pgjit is shutting down",
            reference="shutting-down",
            hint="Connect again: the window keeps its end and is joined by the next connection.",
        )


class JournalUnavailable(PgjitError):
    """The journal could not take a record, so what it would have recorded does not happen."""

    sqlstate = "58030"
    status = 503

    def __init__(self, *, fatal: bool = False) -> None:
        super().__init__(
            "statement was not run because it could not be recorded",
            reference="journal-unavailable",
            detail="Nothing reached the database: pgjit runs nothing that it cannot record first.",
            hint="Try again later; the operators of this proxy have to look at its journal.",
        )
        self._severity = "FATAL" if fatal else "ERROR"

    def fields(self) -> dict[str, str]:
        return {**super().fields(), "S": self._severity, "V": self._severity}


class ProtocolFault(PgjitError):
    """The peer broke the wire protocol, or used a part of it that pgjit does not support."""

    sqlstate = "08P01"
    severity = "FATAL"

    def __init__(self, message: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, reference="protocol-violation", detail=detail, hint=hint)


class ServerEndedSession(PgjitError):
    """The server ended the session with a FATAL or PANIC error, which the client received unchanged."""

    sqlstate = "57P01"
    severity = "FATAL"
    status = 503

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message, reference="server-said")
        self._sqlstate = sqlstate

    def fields(self) -> dict[str, str]:
        return {**super().fields(), "C": self._sqlstate}


class ServerUnavailable(PgjitError):
    """The database server, the identity provider or the store behind pgjit cannot be used now."""

    sqlstate = "57P03"  # libpq tries its next host on this one
    severity = "FATAL"
    status = 503

    def __init__(self, message: str, *, reference: str, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint)

    def for_client(self) -> ServerUnavailable:
        """The error without its detail. The detail quotes the server and is for the operators only."""
        return ServerUnavailable(self.message, reference=self.reference, hint=self.hint)


class CatalogBeingRead(ServerUnavailable):
    """A login waited too long for the catalog of its connection, which is still being read. No window was opened."""

    def __init__(self, *, connection: str, seconds: float) -> None:
        super().__init__(
            f"the catalog of connection `{connection}` is still being read",
            reference="catalog-being-read",
            detail=f"Reading began {seconds:.0f} s ago; no window was opened.",
            hint="Connect again in a few seconds: reading goes on meanwhile, once for all sessions.",
        )

    def for_client(self) -> ServerUnavailable:
        """The error itself: it quotes nothing of the server."""
        return self


_REFUSAL_TEXTS = {
    "53300": (
        "sorry, too many clients already",
        "remaining connection slots are reserved",
    ),
    "57P01": ("terminating connection due to administrator command",),
    "57P03": (
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not accepting connections",
        "the database system is not yet accepting connections",
    ),
}
"""PostgreSQL's messages when it accepts no session, by SQLSTATE. Any other message is replaced by the first of its
SQLSTATE, because it may name roles and databases that the client did not ask for."""


class ServerNotAccepting(ServerUnavailable):
    """The server accepts no session now, and says so with a SQLSTATE that clients take as a reason to retry."""

    def __init__(self, sqlstate: str, said: str, *, detail: str | None = None) -> None:
        known = _REFUSAL_TEXTS[sqlstate]
        super().__init__(
            next((text for text in known if said.startswith(text)), known[0]),
            reference="server-turns-away",
            detail=detail,
            hint="Try again in a moment.",
        )
        self._sqlstate = sqlstate

    def fields(self) -> dict[str, str]:
        return {**super().fields(), "C": self._sqlstate}

    def problem(self) -> dict[str, object]:
        return {**super().problem(), "sqlstate": self._sqlstate}

    def for_client(self) -> ServerNotAccepting:
        return ServerNotAccepting(self._sqlstate, self.message)


class SettingRejected(ServerUnavailable):
    """The server rejected a setting of the startup message. The client can correct it."""

    sqlstate = "22023"
    status = 400

    def __init__(self, said: str, sqlstate: str = "22023") -> None:
        super().__init__(
            said,
            reference="startup-parameter",
            detail="The database server does not accept a parameter of the startup message.",
            hint="Leave the parameter out, or give it a value that the server knows.",
        )

        self._sqlstate = sqlstate  # the server's own

    def fields(self) -> dict[str, str]:
        return {**super().fields(), "C": self._sqlstate}

    def problem(self) -> dict[str, object]:
        return {**super().problem(), "sqlstate": self._sqlstate}

    def for_client(self) -> SettingRejected:
        return self


class InvalidFile(PgjitError):
    """A configuration or policy file has faults. `faults` lists all of them, each with its place."""

    sqlstate = "F0000"
    severity = "FATAL"

    def __init__(self, what: str, faults: list[str]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{what} has {count}", reference="invalid-file", detail="\n".join(faults))
        self.faults = faults

    def terminal(self) -> str:
        return "\n".join([f"error: {self.message} [{self.reference}]", *(f"  {fault}" for fault in self.faults)])
