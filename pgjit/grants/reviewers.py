"""Who may review a request. Pure: the caller gives the reviewer as its token and the directory show it.

INVARIANT: nobody reviews their own request, whatever other right they have. Only a person reviews.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder
from pgjit.grants.request import Request
from pgjit.grants.request_refusals import AgentsNeverReview, NotAReviewer, OwnRequest
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.policy.grant_terms import ReviewTerms

__all__ = ["Reviewer", "is_own", "may_review", "own_keys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """`ties`: the principals that the directory shows as owned or sponsored by the reviewer.

    `app`: the client that got the reviewer's token; None if there is no token.
    """

    actor: Actor
    kinds: frozenset[IdentityKind]  # every kind involved: an agent that acts for a user makes two
    groups: frozenset[GroupId]
    roles: frozenset[str] = frozenset()
    ties: frozenset[IdentityKey] = frozenset()
    app: IdentityKey | None = None
    signed_in_at: datetime | None = None  # None: nothing shows it
    acrs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, identity: Identity, via: str, ties: frozenset[IdentityKey] = frozenset()) -> Reviewer:
        return cls(
            actor=Actor(key=identity.key, display=identity.display, via=via),
            kinds=identity.principals,
            groups=identity.groups,
            roles=identity.roles,
            ties=ties,
            app=None if identity.app_id is None else IdentityKey(identity.key.tid, identity.app_id),
            signed_in_at=identity.signed_in_at,
            acrs=identity.acrs,
        )

    def is_named_by(self, review: ReviewTerms) -> bool:
        return not self.groups.isdisjoint(review.groups) or not self.roles.isdisjoint(review.roles)


def own_keys(identity: Identity, belongs_to: frozenset[IdentityKey] = frozenset()) -> frozenset[IdentityKey]:
    """Those who may not review a request of `identity`; `belongs_to`: its owners and sponsors, where known."""
    tid = identity.key.tid
    others = {identity.app_id, identity.blueprint_id, identity.on_behalf_of} - {None}
    return frozenset({identity.key, *belongs_to, *(IdentityKey(tid, oid) for oid in others if oid is not None)})


def is_own(reviewer: Reviewer, own: frozenset[IdentityKey], holder: Holder | None) -> bool:
    """Whether `own`, the principals behind a request or a window, has the reviewer or what belongs to the reviewer.

    A token that a program got for a person is in that program's hands: it decides on nothing of the program. People
    share their clients, so the client counts for nothing between people.
    """
    by_itself = reviewer.app in own and (holder is None or not holder.is_person)
    return by_itself or reviewer.actor.key in own or not reviewer.ties.isdisjoint(own)


def may_review(request: Request, reviewer: Reviewer) -> None:
    """Raises AgentsNeverReview, OwnRequest or NotAReviewer."""
    if reviewer.kinds != {IdentityKind.USER}:
        raise AgentsNeverReview
    if is_own(reviewer, request.own | request.owners, request.ask.holder):
        raise OwnRequest(request)
    if not reviewer.is_named_by(request.review):
        raise NotAReviewer(request)
