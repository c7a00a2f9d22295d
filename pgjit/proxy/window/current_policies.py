"""What an open window becomes when its policy is changed or deleted. Pure.

INVARIANT: a policy may shorten what is open, never lengthen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pgjit.grants.lifecycle import effective_end
from pgjit.grants.window import Window
from pgjit.policy.policy import Policy

__all__ = ["OTHER_CONNECTION", "OTHER_GROUP", "end_under"]

OTHER_CONNECTION = "it is for another connection now"
OTHER_GROUP = "it is for another group or app role now"


def end_under(window: Window, policies: Mapping[str, Policy], now: datetime) -> tuple[datetime, str, str | None]:
    """When the window ends under the policies as they are, the reason, and its explanation for the client."""
    policy = policies.get(window.policy)
    if policy is None:
        return now, "policy-deleted", None
    if policy.connection != window.connection:
        return now, "policy-changed", OTHER_CONNECTION
    return effective_end(window, policy), "ttl", None
