"""What a new version of a policy means for a session that was opened under the earlier one. Pure.

Decides whether the session goes on, judged by the new rules, or has to log in again: its settings on the server, its
budget and the form of its records are fixed when it logs in.
"""

from __future__ import annotations

from pgjit.policy.policy import Policy
from pgjit.policy.unread import runs_unread

__all__ = ["carries_on", "for_others"]


def carries_on(before: Policy, now: Policy) -> bool:
    """Whether a session under `before` goes on under `now`.

    It does where only the rules, the length of windows or the terms of a grant are others.
    """
    return _fixed_at_login(before) == _fixed_at_login(now)


def for_others(before: Policy, now: Policy) -> bool:
    """Whether the policy is for another group or app role, so that whoever has a window may not have it any more."""
    return (before.group, before.identity.role) != (now.group, now.identity.role)


def _fixed_at_login(policy: Policy) -> tuple[object, ...]:
    terms = policy.statements
    return (
        policy.connection,
        policy.group,
        policy.identity,
        policy.record,
        policy.results,
        policy.redaction,
        policy.limits,
        terms.access,
        runs_unread(terms),  # such a session holds a login in reserve
    )
