"""The errors that a client receives when its session is ended, with the outcome of its work. Pure.

INVARIANT: an error reports a rollback only if the server reported it, or nothing was running.
"""

from __future__ import annotations

from enum import StrEnum

from pgjit.errors import PgjitError, ServerUnavailable, ShuttingDown, WindowOver, utc_text
from pgjit.policy.policy import Policy
from pgjit.proxy.access import Access

__all__ = [
    "AccessEnded", "WorkOutcome", "end_error", "end_reason", "idle_in_transaction_error", "server_closed_error",
    "with_work_outcome",
]  # fmt: skip


class WorkOutcome(StrEnum):
    """What is known of the session's work."""

    IDLE = "No statement was running."
    OPEN = "No statement was running; the open transaction was rolled back."
    CANCELLED = "The running statement was cancelled, and its uncommitted work was rolled back."
    UNANSWERED = "The running statement was stopped before the server had answered: check whether it was committed."
    REMAINS = (
        "The running statement was not seen to end yet, so it may still be committed: pgjit keeps trying to stop it, "
        "and has alerted the operators of this proxy."
    )


class AccessEnded(PgjitError):
    """The session ends; the window may go on."""

    sqlstate = "57P01"
    severity = "FATAL"
    status = 403

    def __init__(self, message: str, *, reference: str, detail: str, hint: str) -> None:
        super().__init__(f"terminating connection: {message}", reference=reference, detail=detail, hint=hint)


class IdleInTransactionTimeout(PgjitError):
    """A transaction was idle for too long."""

    sqlstate = "25P03"
    severity = "FATAL"
    status = 403


def idle_in_transaction_error(policy: Policy) -> PgjitError:
    most = policy.limits.idle_in_transaction
    return IdleInTransactionTimeout(
        "terminating connection due to idle-in-transaction timeout",
        reference="limit-idle-in-transaction",
        detail=f"Policy `{policy.name}` lets a transaction be idle for {most} (limits.idle_in_transaction).",
        hint="Connect again, and end each transaction when its work is done.",
    )


_ORDERED = {
    "revoked": ("window-revoked", "window under policy `{}` was revoked"),
    "locked": ("locked", "access under policy `{}` was locked"),
    "policy-deleted": ("policy-deleted", "policy `{}` was deleted"),
    "policy-changed": ("policy-changed", "policy `{}` was changed"),
    "admin": ("window-ended", "window under policy `{}` was ended by an administrator"),
    "superseded": ("window-ended", "window under policy `{}` was superseded"),
}


def end_error(reason: str, access: Access, explanation: str | None = None) -> PgjitError:
    """`explanation`: the reason that a person gave for it. The person's name stays in the journal."""
    policy = access.policy.name
    if (ordered := _ORDERED.get(reason)) is not None:
        reference, message = ordered
        return AccessEnded(
            message.format(policy),
            reference=reference,
            detail=_explained(explanation),
            hint=f"A new window may be requested from {utc_text(access.window.retry_at)} at the earliest.",
        )
    match reason:
        case "killed":
            return AccessEnded(
                "session was ended by an administrator",
                reference="session-killed",
                detail=_explained(explanation),
                hint="The window keeps its end, and the next connection joins it.",
            )
        case "terms-changed":
            return AccessEnded(
                f"policy `{policy}` was changed, and sessions under it have to log in again",
                reference=reason,
                detail="What was changed is fixed for a session when it logs in.",
                hint="Connect again: the window is joined, under the policy as it is now.",
            )
        case "connection-changed":
            return AccessEnded(
                f"connection `{access.target.name}` was changed",
                reference=reason,
                detail="It leads to another server, database or login role now.",
                hint="Connect again: the window keeps its end.",
            )
        case "shutdown":
            return ShuttingDown()
        case "token-expired":
            return AccessEnded(
                f"access token under policy `{policy}` has expired",
                reference=reason,
                detail=f"It ended at {utc_text(access.identity.expires_at)}, and this policy binds sessions to it.",
                hint="Connect again with a fresh token: the window keeps its end.",
            )
        case "membership-lost":
            return AccessEnded(
                f"policy `{policy}` is no longer open to you",
                reference=reason,
                detail="Your group membership ended, or your account was disabled.",
                hint="Ask the owners of the policy's group.",
            )
        case "acting-app-lost":
            return AccessEnded(
                f"policy `{policy}` is no longer open to the app that acts for you",
                reference=reason,
                detail="It was disabled or deleted.",
                hint="Ask the owners of the app registration, or of the agent.",
            )
        case "membership-unknown":
            return AccessEnded(
                f"your membership under policy `{policy}` could not be confirmed",
                reference=reason,
                detail="The directory has not answered for too long.",
                hint="Try again in a moment; the operators of this proxy have to look at its directory.",
            )
        case "store-stale" | "node-superseded":
            return AccessEnded(
                "this node of the proxy has lost its window store",
                reference=reason,
                detail="It could not see any more whether access was revoked.",
                hint="Connect again, to another node if there is one: the window keeps its end.",
            )
        case _:
            window = access.window
            return WindowOver(policy=policy, ended_at=access.window_ends_at, retry_at=window.retry_at)


def _explained(explanation: str | None) -> str:
    return "No reason was given." if not explanation else f"The reason: {explanation.strip().rstrip('.')}."


def end_reason(access: Access) -> str:
    """The reason of the end at `ends_at`: the window's ttl, or the token that the policy binds the session to."""
    return "ttl" if access.ends_at >= access.window_ends_at else "token-expired"


def with_work_outcome(error: PgjitError, outcome: WorkOutcome) -> dict[str, str]:
    """The error's fields; an error about the session's end has the outcome in its DETAIL."""
    fields = error.fields()
    if isinstance(error, WindowOver | AccessEnded | IdleInTransactionTimeout | ShuttingDown):
        fields["D"] = f"{fields['D']} {outcome}" if "D" in fields else outcome.value
    return fields


def server_closed_error() -> ServerUnavailable:
    return ServerUnavailable(
        "terminating connection: the database server closed the connection",
        reference="server-closed",
        hint="Connect again: the window keeps its end and is joined by the next connection.",
    )
