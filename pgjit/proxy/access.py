"""The value of an authorization: no login to a server is possible without an `Access`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.request import Request
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity
from pgjit.policy.policy import Policy
from pgjit.server.target import Target

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    identity: Identity
    policy: Policy
    window: Window
    window_ends_at: datetime
    target: Target
    request: Request | None = None  # the approved one that the window was opened for

    def under(self, policy: Policy, ends_at: datetime | None) -> Access:
        """The same under another version of the policy, to end at `ends_at`. INVARIANT: it does not end later."""
        end = self.window_ends_at if ends_at is None else min(self.window_ends_at, ends_at)
        # Not by `replace`, which takes three times as long: a reload does this for thousands of sessions in one step.
        return Access(
            identity=self.identity,
            policy=policy,
            window=self.window,
            window_ends_at=end,
            target=self.target,
            request=self.request,
        )

    @property
    def ends_at(self) -> datetime:
        """When the session ends: with its window, or earlier with its token if the policy binds it to the token."""
        if self.policy.identity.bind_to_token:
            return min(self.window_ends_at, self.identity.expires_at)
        return self.window_ends_at
