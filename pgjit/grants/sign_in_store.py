"""The contract of the sign-ins in a store: every node and worker serves a person who signed in at another one.

Every method raises ServerUnavailable when the store cannot be used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pgjit.grants.sign_in import KeptSignIn

__all__ = ["SignInStore"]


class SignInStore(Protocol):
    async def keep_sign_in(self, sign_in: KeptSignIn, *, at_most: int) -> None:
        """Insert it, and delete those whose end is before it was opened.

        The newest `at_most` sign-ins of its identity stay.
        """

    async def sign_in(self, sign_in_id: str) -> KeptSignIn | None:
        """The sign-in of this id, whether its time is over or not."""

    async def note_sign_in_use(self, sign_in_id: str, at: datetime) -> None:
        """It was used then."""

    async def claim_sign_in_renewal(self, sign_in_id: str, now: datetime, until: datetime) -> bool:
        """Whether this caller renews its tokens. Until then nobody else does, unless they are replaced before."""

    async def replace_sign_in_tokens(self, sign_in_id: str, sealed: str) -> None:
        """Its tokens were renewed."""

    async def end_sign_in(self, sign_in_id: str) -> bool:
        """Delete it; False if there is none."""
