"""`SHOW pgjit.window` and the other settings by which a session learns about itself.

Returns a SELECT of a constant. It is sent in place of the SHOW, so that the server answers in order.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.audit.event import SessionContext
from pgjit.errors import utc_text
from pgjit.policy.decision import Violation

__all__ = ["ABOUT", "answer", "unknown_setting"]

ABOUT = ("window", "policy", "identity", "remaining")


def unknown_setting(name: str) -> Violation:
    return Violation(
        rule="unknown-setting",
        message=f"there is no setting `pgjit.{name}`",
        hint="Known are: " + ", ".join(f"`SHOW pgjit.{known}`" for known in ABOUT),
        sqlstate="42704",
    )


def answer(name: str, context: SessionContext, ends_at: datetime, now: datetime) -> str | None:
    """The SQL in place of `SHOW pgjit.<name>`. None: there is no such setting."""
    match name:
        case "window":
            text = f"{context.window.id}: {utc_text(context.window.opened_at)} to {utc_text(ends_at)}"
        case "policy":
            text = f"{context.policy} (version {context.policy_version[:12]})"
        case "identity":
            key = context.identity.key
            text = f"{context.identity.kind.value} {key.oid} of tenant {key.tid}"
        case "remaining":
            text = str(timedelta(seconds=max(0, int((ends_at - now).total_seconds()))))
        case _:
            return None
    # The values are our own and hold no quote. Doubling quotes makes this certain.
    quoted = text.replace("'", "''")
    return f"SELECT '{quoted}'::pg_catalog.text AS \"pgjit.{name}\""
