"""`access`: what a group or an identity may do now: policies, kinds of statements, limits, open windows.

It answers from the policies as they are. A requester may ask about the own identity and the own groups only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from pgjit.api.bodies import Name, guid_or_text, identity_target
from pgjit.api.caller import CallerRole
from pgjit.api.caller_groups import CallerGroups
from pgjit.api.endpoints.windows import shown
from pgjit.api.grant_shapes import LockJson, WindowJson
from pgjit.api.known_scopes import key_of_target
from pgjit.api.refusals import InvalidCall, MembershipsUnknown, NothingThere
from pgjit.api.services import ApiServices, TheCall, TheGroups, TheServices
from pgjit.api.shapes import PolicyJson, seconds
from pgjit.grants.listing import WindowFilter
from pgjit.grants.lock import Lock
from pgjit.identity.directory import Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.policy.allowed import allowed_by, lines_of
from pgjit.policy.grant_sentences import grant_sentences
from pgjit.policy.policy import Limits, Policy, Preset

__all__ = ["AccessJson", "PolicyAccessJson", "policy_access", "router"]

router = APIRouter(tags=["access"])
_NOBODY = IdentityKey("", "")


class LineJson(BaseModel):
    topic: str
    text: str


class RelationJson(BaseModel):
    name: str
    actions: list[str]
    columns_denied: list[str]


class PolicyAccessJson(PolicyJson):
    """A policy, the kinds of statements that it allows, its limits, and the windows that are open under it.

    `kinds`: `all` alone under `access: full`, where no kind is checked. `relations`: the patterns of its `allow`;
    none means all that it does not deny. `relations_known`: the relations of the database that it opens, where its
    catalog has been read; `relations_more`: there are more than these. `lines`: all that it allows and denies, as
    text; `terms`: how a window opens and how long it lasts, in sentences. `locks`: those that bar it now; null: the
    caller may not read locks.
    """

    kinds: list[str]
    terms: list[str]
    locks: list[LockJson] | None
    lines: list[LineJson]
    relations: list[str]
    relations_known: list[RelationJson] | None
    relations_more: bool
    relations_denied: list[str]
    columns_denied: list[str]
    limits: dict[str, int]
    windows: list[WindowJson]


class AccessJson(BaseModel):
    policies: list[PolicyAccessJson]


@router.get("/access")
async def access(
    call: TheCall,
    services: TheServices,
    groups: TheGroups,
    group: Annotated[Name | None, Query()] = None,
    identity: Annotated[Name | None, Query()] = None,
) -> AccessJson:
    """Give `group`, or `identity` as `TENANT/OBJECT`."""
    if (group is None) == (identity is None):
        raise InvalidCall("Give one of `group` and `identity`.")
    key = None
    if identity is not None:
        key = key_of_target(identity_target(identity), call.caller.key.tid)
    caller = call.caller
    asked = None if group is None else _group(group, caller.identity.groups, services)
    own = key == caller.key or asked in caller.identity.groups
    if not own or caller.reads_all:
        role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN)
        await call.record(role, f"group {asked}" if key is None else f"identity {key.tid}/{key.oid}")
    if key is None:
        found = [each for each in services.policies.values() if each.group is not None and each.group == asked]
    elif key == caller.key:
        mine = caller.identity
        found = [
            each for each in services.policies.values() if each.identity.selects(each.group, mine.groups, mine.roles)
        ]
    else:
        of_key = await _groups_of(key, groups)
        found = [each for each in services.policies.values() if each.group in of_key]
    whose = key if caller.reads_all else caller.key
    locks = await services.store.locks(services.clock()) if caller.reads_all else None
    found.sort(key=lambda policy: policy.name)
    return AccessJson(policies=[await policy_access(each, whose, locks, services) for each in found])


def _group(text: str, own: frozenset[GroupId], services: ApiServices) -> GroupId:
    """The group to the letter, if anybody has it so; else a GUID in lower case."""
    have = own | {each.group for each in services.policies.values()}
    return GroupId(text if text in have else guid_or_text(text))


async def _groups_of(key: IdentityKey, groups: CallerGroups) -> frozenset[GroupId]:
    """The groups of another identity, a person or a program. Raises MembershipsUnknown, NothingThere."""
    if not groups.known:
        raise MembershipsUnknown
    for is_user in (False, True):
        answer = await groups.look_up(Principal(key, is_user))
        if answer.state is not PrincipalState.DELETED:
            return answer.groups if answer.state is PrincipalState.ENABLED else frozenset()
    raise NothingThere("identity", f"{key.tid}/{key.oid}")


async def policy_access(
    policy: Policy, key: IdentityKey | None, locks: list[Lock] | None, services: ApiServices
) -> PolicyAccessJson:
    narrowed = WindowFilter(ended=False, identity=key, policy=policy.name)
    page = await services.store.windows(narrowed, None, 200)
    allowed = allowed_by(policy)
    known, more = await _relations(policy, services)
    return PolicyAccessJson(
        **PolicyJson.of(policy).model_dump(),
        kinds=["all"] if policy.statements.access is Preset.FULL else list(allowed.kinds),
        lines=[LineJson(topic=topic, text=text) for topic, text in lines_of(allowed)],
        terms=list(grant_sentences(policy)),
        locks=None if locks is None else [LockJson.of(each) for each in _barring(locks, policy, key, services)],
        relations=list(dict.fromkeys(name for each in allowed.relations for name in each.names or ())),
        relations_known=known,
        relations_more=more,
        relations_denied=list(allowed.denied_names("relations", "schemas")),
        columns_denied=list(allowed.denied_names("columns")),
        limits=_limits(policy.limits),
        windows=await shown(list(page.items), services),
    )


def _barring(locks: list[Lock], policy: Policy, key: IdentityKey | None, services: ApiServices) -> Iterator[Lock]:
    """For a group: the locks that bar all its members."""
    now, whom = services.clock(), key or _NOBODY
    for lock in locks:
        if lock.in_force(now) and lock.matches(whom, policy.name, policy.connection):
            yield lock


async def _relations(policy: Policy, services: ApiServices) -> tuple[list[RelationJson] | None, bool]:
    """By the catalog as last read. No server is queried."""
    catalog = services.catalogs(policy.connection)
    if catalog is None:
        return None, False
    listed = await services.relation_lists.of(policy, catalog)
    return [
        RelationJson(name=each.name, actions=list(each.actions), columns_denied=list(each.columns_denied))
        for each in listed.relations
    ], listed.more


def _limits(limits: Limits) -> dict[str, int]:
    values = {each.name: getattr(limits, each.name) for each in fields(limits) if each.name != "caps"}
    return {
        name + ("_seconds" if isinstance(value, timedelta) else ""): seconds(value)
        if isinstance(value, timedelta)
        else value
        for name, value in values.items()
        if value is not None
    }
