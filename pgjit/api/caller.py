"""Who calls the HTTP API, and which roles the caller has. Pure.

Decides roles from groups. Which requests a reviewer may decide is decided by `grants`, for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pgjit.api.section import HttpRolesSection
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.policy.policy import Policy

__all__ = ["Caller", "CallerRole", "RoleTable", "is_person"]


class CallerRole(StrEnum):
    REQUESTER = "requester"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`identity.groups` are those that were looked up for this call, or the token's where there is no directory."""

    identity: Identity
    roles: frozenset[CallerRole]
    source: str  # address and port
    checked_at: datetime  # when the groups were looked up

    @property
    def key(self) -> IdentityKey:
        return self.identity.key

    @property
    def quota_key(self) -> HolderKey:
        return HolderKey.of(self.identity)

    @property
    def reads_all(self) -> bool:
        return not self.roles.isdisjoint({CallerRole.AUDITOR, CallerRole.ADMIN})

    def strongest(self, roles: Iterable[CallerRole]) -> CallerRole | None:
        """The role that the caller acts in: the least that suffices, in the order of `roles`."""
        return next((role for role in roles if role in self.roles), None)


def is_person(identity: Identity) -> bool:
    """Whether it is a person alone: no app, no agent, no agent's user, and nobody for whom an agent acts."""
    return identity.principals == {IdentityKind.USER} and identity.blueprint_id is None and identity.signed_in


class RoleTable:
    """The roles by group, from the configuration; where that is silent, from the policies."""

    def __init__(self, roles: Callable[[], HttpRolesSection], policies: Mapping[str, Policy]) -> None:
        """`roles` returns those of now."""
        self._current = roles
        self._policies = policies

    @property
    def _roles(self) -> HttpRolesSection:
        return self._current()

    @property
    def groups(self) -> frozenset[GroupId]:
        """All groups that matter here: a directory is queried for these only."""
        of_policies = {policy.group for policy in self._policies.values() if policy.group is not None}
        reviews = [policy.terms.review for policy in self._policies.values() if policy.terms.review is not None]
        return self._roles.groups | of_policies | {group for review in reviews for group in review.groups}

    def givers(self, roles: Iterable[CallerRole]) -> list[str]:
        """The groups and app roles that give one of `roles`, for people to read: a name where a policy has one."""
        found: dict[str, None] = {}
        for role in roles:
            found.update(dict.fromkeys(self._givers(role)))
        return list(found)

    def _givers(self, role: CallerRole) -> list[str]:
        named = {
            CallerRole.REQUESTER: self._roles.requester,
            CallerRole.REVIEWER: self._roles.reviewer,
            CallerRole.AUDITOR: self._roles.auditor,
            CallerRole.ADMIN: self._roles.admin,
        }[role]
        policies = self._policies.values()
        names = {each.group: each.group_name for each in policies if each.group is not None and each.group_name}
        reviews = [policy.terms.review for policy in policies if policy.terms.review is not None]
        for review in reviews:
            names.update(
                {group: name for group, name in zip(review.groups, review.group_names, strict=False) if name}
            )
        names.update({GroupId(group): name for group, name in self._roles.names.items()})
        if named is not None:
            return [names.get(GroupId(group)) or group for group in named]
        if role is CallerRole.REQUESTER:
            groups = [each.group for each in policies if each.group is not None]
            return [names.get(group) or group for group in groups] + [
                f"the app role {each.identity.role}" for each in policies if each.identity.role is not None
            ]
        return [names.get(group) or group for review in reviews for group in review.groups] + [
            f"the app role {each}" for review in reviews for each in review.roles
        ]

    def roles_of(self, identity: Identity) -> frozenset[CallerRole]:
        """INVARIANT: apps, agents and those for whom an agent acts have no role but requester."""
        roles = {CallerRole.REQUESTER} if self._may_request(identity) else set()
        if is_person(identity):
            if self._may_review(identity):
                roles.add(CallerRole.REVIEWER)
            if not identity.groups.isdisjoint(self._roles.auditor):
                roles.add(CallerRole.AUDITOR)
            if not identity.groups.isdisjoint(self._roles.admin):
                roles.add(CallerRole.ADMIN)
        return frozenset(roles)

    def _may_request(self, identity: Identity) -> bool:
        if self._roles.requester is not None:
            return not identity.groups.isdisjoint(self._roles.requester)
        return any(
            policy.identity.selects(policy.group, identity.groups, identity.roles)
            for policy in self._policies.values()
        )

    def _may_review(self, identity: Identity) -> bool:
        if self._roles.reviewer is not None:
            return not identity.groups.isdisjoint(self._roles.reviewer)
        reviews = [policy.terms.review for policy in self._policies.values() if policy.terms.review is not None]
        return any(
            not identity.groups.isdisjoint(review.groups) or not identity.roles.isdisjoint(review.roles)
            for review in reviews
        )
