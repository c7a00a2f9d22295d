"""A sign-in of a person to the console, as a store keeps it. Values only.

INVARIANT: a store that is read by somebody signs nobody in. `id` and `sealed` are derived from a secret that only the
person's browser has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pgjit.identity.identity import IdentityKey

__all__ = ["KeptSignIn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSignIn:
    id: str
    identity: IdentityKey
    opened_at: datetime
    seen_at: datetime  # of the last use; a later one may be noted up to a minute late
    ends_at: datetime  # whatever its use
    sealed: str = field(repr=False)  # the person's tokens, encrypted
