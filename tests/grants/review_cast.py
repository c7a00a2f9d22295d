"""The people, the policy and the request of the tests about reviews."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pgjit.grants.actor import Actor
from pgjit.grants.request import Ask, Request
from pgjit.grants.request_lifecycle import file
from pgjit.grants.reviewers import Reviewer
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.policy.grant_terms import Grant, GrantTerms, ReviewTerms
from pgjit.policy.policy import Policy
from tests.contracts.store import ALICE, HOUR, NOW, POLICY

__all__ = [
    "ADMIN",
    "CAROL",
    "DAVE",
    "DBAS",
    "MINUTE",
    "OWNER",
    "REVIEWED",
    "asker",
    "request",
    "reviewed_policy",
    "reviewer",
]

MINUTE = timedelta(minutes=1)
DBAS = GroupId("dddddddd-dddd-4ddd-8ddd-dddddddddddd")
CAROL = IdentityKey(ALICE.tid, "cccccccc-cccc-4ccc-8ccc-cccccccccccc")
DAVE = IdentityKey(ALICE.tid, "dddddddd-0000-4ddd-8ddd-dddddddddddd")
OWNER = IdentityKey(ALICE.tid, "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee")
ADMIN = Actor(key=DAVE, display="Dave", via="api")


def reviewed_policy(approvals: int = 1, *, one_refusal_ends: bool = True) -> Policy:
    review = ReviewTerms(
        groups=(DBAS,), group_names=("dbas",), approvals=approvals, one_refusal_ends=one_refusal_ends
    )
    return replace(POLICY, grant=Grant.REVIEW, terms=GrantTerms(review=review))


REVIEWED = reviewed_policy()


def asker(key: IdentityKey = ALICE) -> Identity:
    return Identity(
        key=key,
        kind=IdentityKind.APP,
        app_id="99999999-0000-4999-8999-999999999999",
        display="an agent",
        groups=frozenset(),
        token_id="t0",
        issued_at=NOW,
        expires_at=NOW + HOUR,
    )


def request(
    request_id: str = "r_1",
    policy: Policy | None = None,
    approvals: int = 1,
    *,
    one_refusal_ends: bool = True,
    reason: str = "schema diff",
    now: datetime = NOW,
) -> Request:
    policy = policy or reviewed_policy(approvals, one_refusal_ends=one_refusal_ends)
    ask = Ask(
        identity=ALICE,
        connection=policy.connection,
        policy=policy.name,
        policy_version=policy.version,
        ttl=policy.ttl,
        reason=reason,
    )
    return file(request_id, ask, asker(), policy, frozenset({OWNER}), "10.0.0.7:51000", now)


def reviewer(key: IdentityKey) -> Reviewer:
    return Reviewer(
        actor=Actor(key=key, display=key.oid[:4], via="api"),
        kinds=frozenset({IdentityKind.USER}),
        groups=frozenset({DBAS}),
    )
