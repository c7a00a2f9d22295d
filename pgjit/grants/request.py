"""A request for access, what it asks for, and the verdicts of reviewers. Values only.

`request_lifecycle.py` decides how a request changes. All times are aware and in UTC.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder, HolderKey
from pgjit.identity.identity import IdentityKey, IdentityKind
from pgjit.policy.grant_terms import ReviewTerms

__all__ = ["Ask", "Request", "RequestState", "Verdict"]

_DIGEST_VERSION = b"pgjit request 1"


class RequestState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    USED = "used"

    @property
    def live(self) -> bool:
        """Whether it can still change."""
        return self in (RequestState.PENDING, RequestState.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for. An approval is for exactly this."""

    identity: IdentityKey
    connection: str
    policy: str
    policy_version: str
    ttl: timedelta
    reason: str = ""
    ticket: str | None = None
    holder: Holder | None = None  # None: unknown, which is nobody's but that of another unknown one

    @property
    def acting(self) -> str | None:
        """The agent that acts for the identity, by its client id."""
        return None if self.holder is None else self.holder.acting

    @property
    def holder_key(self) -> HolderKey:
        return HolderKey(self.identity, self.acting)

    @property
    def programs(self) -> frozenset[IdentityKey]:
        """The app or agent that asks, and its blueprint."""
        return frozenset() if self.holder is None else self.holder.programs(self.identity.tid)

    @property
    def digest(self) -> str:
        """SHA-256 over every field, each with its length before it, in hexadecimal."""
        digest = hashlib.sha256(_DIGEST_VERSION)
        microseconds = str(self.ttl // timedelta(microseconds=1))
        holder = self.holder
        program = (
            ("",) * 4 if holder is None else (holder.kind, holder.app_id, holder.blueprint_id, holder.on_behalf_of)
        )
        principals = (*self.identity, *(text or "" for text in program))
        fields = (*principals, self.connection, self.policy, self.policy_version, microseconds, self.reason)
        for text in fields if self.ticket is None else (*fields, self.ticket):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8) + encoded)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    by: Actor
    verdict: Literal["approved", "refused"]
    at: datetime
    comment: str | None = None  # of a refusal: its reason
    ttl: timedelta | None = None  # the reviewer's cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """INVARIANT: what is asked, who decides, and every limit are copied when it is made. They never change."""

    id: str
    ask: Ask
    kind: IdentityKind
    display: str
    source: str | None  # the address that it came from
    own: frozenset[IdentityKey]  # who may not review it: the requester, and those it acts for or belongs to
    review: ReviewTerms
    open_within: timedelta
    cooldown: timedelta
    created_at: datetime
    lapses_at: datetime  # a pending one
    owners: frozenset[IdentityKey] = frozenset()  # of the program, when it asked: they do not review
    state: RequestState = RequestState.PENDING
    verdicts: tuple[Verdict, ...] = ()
    decided_at: datetime | None = None  # approved or refused
    open_by: datetime | None = None  # an approved one lapses then
    retry_at: datetime | None = None  # of a refused one: the cooldown's end
    ended_at: datetime | None = None  # when it came into a state that does not change
    end_note: str | None = None  # why it was withdrawn
    window: str | None = None  # that it was used for
    version: int = field(default=1)  # one more with every change

    @property
    def approvers(self) -> tuple[Actor, ...]:
        return tuple(each.by for each in self.verdicts if each.verdict == "approved")

    @property
    def refusers(self) -> tuple[Actor, ...]:
        return tuple(each.by for each in self.verdicts if each.verdict == "refused")

    @property
    def ttl(self) -> timedelta:
        """What was asked, or the shortest cap of a reviewer."""
        return min([self.ask.ttl, *(each.ttl for each in self.verdicts if each.ttl is not None)])
