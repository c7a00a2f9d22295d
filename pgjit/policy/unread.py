"""Whether a policy allows statements whose effects no rule knows. Pure."""

from __future__ import annotations

from pgjit.policy.kinds import UNREAD
from pgjit.policy.policy import Preset, StatementTerms

__all__ = ["runs_unread"]


def runs_unread(terms: StatementTerms) -> bool:
    """Under `access: full`, and if `allow` has kinds such as `do`, or DDL that leaves code behind."""
    return terms.access is Preset.FULL or any(entry.kinds and entry.kinds & UNREAD for entry in terms.allow)
