"""What the API sends: the JSON of sessions, policies and the caller. Values only.

Decides the names of members. Moments are RFC 3339 in UTC, lengths of time are whole seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Generic, TypeVar

from pydantic import BaseModel

from pgjit.api.caller import Caller
from pgjit.api.live_shapes import BudgetJson, RunningJson
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.grant_terms import ReviewTerms
from pgjit.policy.policy import Policy
from pgjit.proxy.registry import SessionView

__all__ = [
    "IdentityJson",
    "PageJson",
    "PolicyJson",
    "ReviewJson",
    "SessionJson",
    "SessionPageJson",
    "VersionJson",
    "WhoamiJson",
    "seconds",
]

T = TypeVar("T")


def seconds(length: timedelta) -> int:
    return int(length.total_seconds())


class PageJson(BaseModel, Generic[T]):
    """A page of a list. `next` is the cursor of the next page, null on the last one."""

    items: list[T]
    next: str | None


class IdentityJson(BaseModel):
    """`tid` and `oid` are the identity; `display` is for people to read, and its owner chose it."""

    tid: str
    oid: str
    kind: str | None
    display: str | None

    @classmethod
    def of(cls, identity: Identity) -> IdentityJson:
        return cls(tid=identity.key.tid, oid=identity.key.oid, kind=identity.kind.value, display=identity.display)

    @classmethod
    def of_key(cls, key: IdentityKey, display: str | None = None) -> IdentityJson:
        return cls(tid=key.tid, oid=key.oid, kind=None, display=display)


class VersionJson(BaseModel):
    version: str
    node: str
    api: str


class WhoamiJson(BaseModel):
    """The caller as this API sees it."""

    identity: IdentityJson
    roles: list[str]
    groups: list[str]
    groups_from: str
    groups_checked_at: datetime
    token_ends_at: datetime

    @classmethod
    def of(cls, caller: Caller, *, directory: bool) -> WhoamiJson:
        return cls(
            identity=IdentityJson.of(caller.identity),
            roles=[role for role in ("requester", "reviewer", "auditor", "admin") if role in caller.roles],
            groups=sorted(caller.identity.groups),
            groups_from="directory" if directory else "token",
            groups_checked_at=caller.checked_at,
            token_ends_at=caller.identity.expires_at,
        )


class ReviewJson(BaseModel):
    """Who decides. `group_names` are for people: the id where the policy has no name."""

    groups: list[str]
    group_names: list[str]
    roles: list[str]

    @classmethod
    def of(cls, review: ReviewTerms) -> ReviewJson:
        names = [name or group for group, name in zip_longest(review.groups, review.group_names)]
        return cls(groups=list(review.groups), group_names=names, roles=list(review.roles))


class PolicyJson(BaseModel):
    """The terms of a policy. Its rules for statements are in the policy's file."""

    name: str
    version: str
    connection: str
    group: str | None
    group_name: str | None
    role: str | None
    grant: str
    mode: str
    access: str
    ttl_seconds: int
    cooldown_seconds: int
    open_within_seconds: int
    lapse_after_seconds: int
    max_per_day: int | None
    reason_required: bool
    needs: int
    review: ReviewJson | None
    sign_in_within_seconds: int | None  # of who approves
    acrs: list[str]  # that the token of who approves has to show
    break_glass: bool

    @classmethod
    def of(cls, policy: Policy) -> PolicyJson:
        terms = policy.terms
        review, within = terms.review, terms.reviewer_sign_in.within
        return cls(
            name=policy.name,
            version=policy.version,
            connection=policy.connection,
            group=policy.group,
            group_name=policy.group_name,
            role=policy.identity.role,
            grant=policy.grant.value,
            mode=policy.mode.value,
            access=policy.statements.access.value,
            ttl_seconds=seconds(policy.ttl),
            cooldown_seconds=seconds(policy.cooldown),
            open_within_seconds=seconds(terms.open_within),
            lapse_after_seconds=seconds(terms.lapse_after),
            max_per_day=terms.max_per_day,
            reason_required=terms.reason.required,
            needs=0 if review is None or terms.break_glass else review.approvals,
            review=None if review is None else ReviewJson.of(review),
            sign_in_within_seconds=None if within is None else seconds(within),
            acrs=sorted(terms.reviewer_sign_in.acrs),
            break_glass=terms.break_glass,
        )


class SessionJson(BaseModel):
    """A live session of the fleet. Null of a session of another node: what only that node knows."""

    id: str
    window: str
    identity: IdentityJson
    policy: str
    connection: str
    node: str
    backend_pid: int | None
    source: str | None
    application_name: str | None
    opened_at: datetime | None
    ends_at: datetime
    executions: int | None
    state: str
    rows: int | None  # of all its executions so far, and bytes
    bytes: int | None
    running: RunningJson | None
    budget: BudgetJson | None  # of its window

    @classmethod
    def of(cls, view: SessionView, node: str) -> SessionJson:
        return cls(
            id=view.id,
            window=view.window,
            identity=IdentityJson.of(view.identity),
            policy=view.policy,
            connection=view.connection,
            node=node,
            backend_pid=view.backend_pid,
            source=view.source,
            application_name=view.application_name,
            opened_at=view.opened_at,
            ends_at=view.ends_at,
            executions=view.executions,
            state=view.state,
            rows=view.rows,
            bytes=view.bytes,
            running=RunningJson.of(view),
            budget=None if view.used is None else BudgetJson.of(view.used, view.limits),
        )

    @classmethod
    def of_elsewhere(cls, session: SessionElsewhere) -> SessionJson:
        window, process = session.window, session.process
        return cls(
            id=session.id,
            window=window.id,
            identity=IdentityJson.of_key(window.identity, window.display),
            policy=window.policy,
            connection=window.connection,
            node=session.node,
            backend_pid=None if process is None else process.pid,
            source=None,
            application_name=None,
            opened_at=None if process is None else process.started,
            ends_at=window.ends_at,
            executions=None,
            state="unknown",
            rows=None,
            bytes=None,
            running=None,
            budget=None,
        )


class SessionPageJson(PageJson[SessionJson]):
    """`complete` is false while the store cannot be read: then only sessions of this node are in the list."""

    complete: bool
