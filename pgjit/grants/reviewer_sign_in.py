"""Whether an approval counts by how the reviewer signed in. Pure: the caller gives what the reviewer's token shows.

A policy may ask that who approves signed in a short while ago, or satisfied an authentication context of the
identity provider. Where there is no token, as in a chat, nothing shows either, and the approval does not count.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.errors import AccessRefused
from pgjit.grants.reviewers import Reviewer
from pgjit.policy.durations import duration_text
from pgjit.policy.grant_terms import SignInTerms

__all__ = ["SignInNeeded", "check_sign_in"]

_SKEW = timedelta(seconds=60)  # by how much the provider's clock may be ahead


class SignInNeeded(AccessRefused):
    """The reviewer has to sign in again before this approval. `acrs`: the contexts that the new token has to show."""

    def __init__(self, request_id: str, detail: str, acrs: frozenset[str]) -> None:
        super().__init__(
            "approval needs a fresh sign-in",
            reference="fresh-sign-in-needed",
            detail=f"Request {request_id} was not approved. {detail}",
            hint="Sign in again, in the console or with a new token, and approve it then.",
        )
        self.acrs = acrs

    def problem(self) -> dict[str, object]:
        return {**super().problem(), "acrs": sorted(self.acrs)}


def check_sign_in(request_id: str, reviewer: Reviewer, terms: SignInTerms, now: datetime) -> None:
    """Raises SignInNeeded."""
    if missing := terms.acrs - reviewer.acrs:
        named = ", ".join(f"`{each}`" for each in sorted(missing))
        raise SignInNeeded(
            request_id,
            f"The policy asks for the authentication context {named}, and your token lacks it.",
            terms.acrs,
        )
    if terms.within is None:
        return
    asked = f"The policy asks for a sign-in within the last {duration_text(terms.within)}"
    if reviewer.signed_in_at is None:
        raise SignInNeeded(
            request_id, f"{asked}, and your token does not show when you signed in (`auth_time`).", terms.acrs
        )
    if not -_SKEW <= now - reviewer.signed_in_at <= terms.within:
        raise SignInNeeded(request_id, f"{asked}, and yours is older.", terms.acrs)
