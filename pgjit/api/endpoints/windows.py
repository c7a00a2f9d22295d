"""`windows` and `revoke`: list, show, revoke, give back, sign off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from pgjit.api.bodies import Name, ReasonBody, ScopeBody, SignOffBody
from pgjit.api.caller import CallerRole, is_person
from pgjit.api.cursor import LIMIT, MOST
from pgjit.api.endpoints.requests import RequestId, reader_role
from pgjit.api.fleet_sessions import sessions_elsewhere
from pgjit.api.grant_shapes import WindowDetailJson, WindowJson, window_state
from pgjit.api.known_scopes import check_known
from pgjit.api.live_shapes import BudgetJson
from pgjit.api.refusals import CallRefused, InvalidCall
from pgjit.api.services import ApiServices, TheCall, TheServices
from pgjit.api.shapes import PageJson
from pgjit.errors import ServerUnavailable
from pgjit.grants.actor import Actor
from pgjit.grants.holder import HolderKey
from pgjit.grants.listing import WindowFilter
from pgjit.grants.request_refusals import AgentsNeverReview, SignedOffByUser, WindowUnknown
from pgjit.grants.reviewers import Reviewer, is_own
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.usage import Usage
from pgjit.grants.window import SignOff, Window
from pgjit.policy.policy import Limits

__all__ = ["actor_of", "router", "sees_window", "shown", "visible_window", "with_budgets"]

router = APIRouter(tags=["windows"])
WindowState = Literal["open", "ending", "ended"]
_PAGES = 10


@router.get("/windows")
async def windows(
    call: TheCall,
    services: TheServices,
    state: WindowState | None = None,
    policy: Annotated[Name | None, Query()] = None,
    connection: Annotated[Name | None, Query()] = None,
    unsigned: bool = False,
    mine: bool = False,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
) -> PageJson[WindowJson]:
    """The windows that the caller may see, the newest first. `unsigned`: break-glass ones without a sign-off."""
    caller = call.caller
    role = CallerRole.REQUESTER if mine else reader_role(caller)
    narrowed = WindowFilter(
        ended=None if state is None else state == "ended",
        identity=caller.key if role is CallerRole.REQUESTER else None,
        policy=policy,
        connection=connection,
        unsigned=unsigned,
    )
    if role is not CallerRole.REQUESTER:
        await call.record(role)
    found: list[Window] = []
    for _ in range(_PAGES):
        try:
            page = await services.store.windows(narrowed, cursor, limit)
        except ValueError:
            raise InvalidCall(
                "`cursor` must be the `next` of an earlier page.", reference="invalid-cursor", status=400
            ) from None
        found = [
            each
            for each in page.items
            if state in (None, window_state(each, services.clock())) and sees_window(call, each, services)
        ]
        cursor = page.next
        if found or cursor is None:
            break
    return PageJson(items=await shown(found, services), next=cursor)


@router.get("/windows/{window_id}")
async def window(window_id: RequestId, call: TheCall, services: TheServices) -> WindowDetailJson:
    """One window, and what is used of its budget."""
    found = await visible_window(window_id, call, services)
    if found.identity != call.caller.key:
        await call.record(reader_role(call.caller), f"window {window_id}")
    return (await with_budgets([found], services))[0]


@router.post("/windows/{window_id}/revoke", response_model=WindowJson)
async def revoke_one(window_id: RequestId, body: ReasonBody, call: TheCall, services: TheServices) -> JSONResponse:
    """End a window and its sessions now. Its owner may do so too, and gives it back by that.

    An agent gives back no window of the person that it acts for; the person may end the agent's.
    """
    found = await visible_window(window_id, call, services)
    own = call.caller.quota_key in (found.holder_key, HolderKey(found.identity))
    role = CallerRole.REQUESTER if own else call.require(CallerRole.ADMIN)

    async def action() -> WindowJson:
        await services.ending.revoke(Scope(ScopeKind.WINDOW, window_id), body.reason, actor_of(call))
        return (await shown([await services.store.window(window_id) or found], services))[0]

    return await call.change(role, f"window {window_id}", action)


@router.post("/revoke", response_model=PageJson[WindowJson])
async def revoke(body: ScopeBody, call: TheCall, services: TheServices) -> JSONResponse:
    """End all windows of an identity, a policy or a connection, or all. Returns those that this call ends."""
    role = call.require(CallerRole.ADMIN)
    scope = body.scope

    async def action() -> PageJson[WindowJson]:
        revoked = await services.ending.revoke(scope, body.reason, actor_of(call))
        if not revoked:  # after it: another node may have windows of a policy that this one does not know
            check_known(scope, services)
        return PageJson(items=await shown(revoked, services), next=None)

    return await call.change(role, str(scope), action)


@router.post("/windows/{window_id}/sign-off", response_model=WindowJson)
async def sign_off(window_id: RequestId, body: SignOffBody, call: TheCall, services: TheServices) -> JSONResponse:
    """A reviewer of the policy has looked at a break-glass window of somebody else."""
    if not is_person(call.caller.identity):
        call.refuse(AgentsNeverReview(), 403)
    role = call.require(CallerRole.REVIEWER)

    async def action() -> WindowJson:
        found = await services.store.window(window_id)
        if found is None:
            raise WindowUnknown(window_id)
        if not _reviews(call, found, services):
            raise CallRefused(
                "window is not yours to sign off",
                reference="not-a-reviewer",
                status=403,
                detail=f"You are in none of the groups that review policy `{found.policy}`.",
            )
        ties = await services.ties.to_window(call.caller.key, found)
        if is_own(Reviewer.of(call.caller.identity, "api", ties), found.own | {found.identity}, found.holder):
            raise SignedOffByUser(window_id)
        signed = SignOff(by=actor_of(call), comment=body.comment, at=services.clock())
        return (await shown([await services.store.sign_off(window_id, signed)], services))[0]

    return await call.change(role, f"window {window_id}", action)


def actor_of(call: TheCall) -> Actor:
    identity = call.caller.identity
    return Actor(key=identity.key, display=identity.display, via="api")


async def shown(found: list[Window], services: ApiServices) -> list[WindowJson]:
    """With their sessions on all nodes; null where the store cannot be read."""
    window_ids = {each.id for each in found}
    elsewhere = await sessions_elsewhere(services, window_ids=window_ids) if found else []
    sessions = Counter(view.window for view in services.registry.views_of(window_ids))
    sessions.update(each.window.id for each in elsewhere or ())
    now = services.clock()
    return [WindowJson.of(each, now, None if elsewhere is None else sessions[each.id]) for each in found]


async def with_budgets(found: Sequence[Window], services: ApiServices) -> list[WindowDetailJson]:
    """The windows of `shown`, each with its usage. A node that has sessions of a window knows more than the store."""
    views = services.registry.views_of({each.id for each in found})
    live = {view.window: view.used for view in views if view.used is not None}
    used = [live.get(each.id) or await _stored_usage(each.id, services) for each in found]
    return [
        WindowDetailJson(
            **dict(window), budget=None if usage is None else BudgetJson.of(usage, _limits(window.policy, services))
        )
        for window, usage in zip(await shown(list(found), services), used, strict=True)
    ]


async def _stored_usage(window_id: str, services: ApiServices) -> Usage | None:
    try:
        return await services.store.usage(window_id)
    except ServerUnavailable:
        return None


def _limits(policy: str, services: ApiServices) -> Limits | None:
    found = services.policies.get(policy)
    return None if found is None else found.limits


async def visible_window(window_id: str, call: TheCall, services: ApiServices) -> Window:
    """Raises WindowUnknown, also for a window that the caller may not see."""
    found = await services.store.window(window_id)
    if found is None or not sees_window(call, found, services):
        raise WindowUnknown(window_id)
    return found


def sees_window(call: TheCall, window: Window, services: ApiServices) -> bool:
    caller = call.caller
    return caller.reads_all or window.identity == caller.key or _reviews(call, window, services)


def _reviews(call: TheCall, window: Window, services: ApiServices) -> bool:
    """Whether the caller reviews the window's policy as it is now."""
    policy = services.policies.get(window.policy)
    review = None if policy is None else policy.terms.review
    reviewer = Reviewer.of(call.caller.identity, "api")
    return CallerRole.REVIEWER in call.caller.roles and review is not None and reviewer.is_named_by(review)
