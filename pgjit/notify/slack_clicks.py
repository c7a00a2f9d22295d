"""What a click in Slack does: it approves or refuses, as the person that the configuration maps the Slack user to.

Decides who that is, and answers the person. Whether the person may review is decided by the `Requests` service, as
for the HTTP API.

INVARIANT: a Slack user without a mapping, or whose groups are not known now, decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import orjson

from pgjit.errors import AccessRefused, PgjitError
from pgjit.grants.actor import Actor
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import ApprovalVoid
from pgjit.grants.requests import Requests
from pgjit.grants.reviewers import Reviewer
from pgjit.grants.ties import Ties
from pgjit.identity.directory import Directory, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKind
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.people import People
from pgjit.notify.section import PersonSection, SlackSection
from pgjit.notify.slack_blocks import APPROVE, REASON, REFUSE, escaped, refusal_view
from pgjit.notify.slack_web import SlackWeb

__all__ = ["NotKnownInSlack", "SlackClicks"]

_log = logging.getLogger("pgjit.notify.slack")


class NotKnownInSlack(AccessRefused):
    """The click cannot be somebody's decision."""

    status: ClassVar[int] = 403

    def __init__(self, why: str) -> None:
        super().__init__(
            "this Slack user may not decide requests",
            reference="not-known-in-slack",
            detail=why,
            hint="Use `pgjit approve` or `pgjit refuse`, or ask the operators of this proxy.",
        )


@dataclass(frozen=True, slots=True)
class _Click:
    user: str
    channel: str
    request: str
    digest: str


class SlackClicks:
    """`directory`: where a person's groups are looked up for each click; None: the configuration has them."""

    def __init__(
        self,
        section: SlackSection,
        web: SlackWeb,
        requests: Requests,
        people: People,
        clock: Callable[[], datetime],
        directory: Directory | None = None,
        ties: Ties | None = None,
    ) -> None:
        self._section = section
        self._web = web
        self._requests = requests
        self._people = people
        self._clock = clock
        self._directory = directory
        self._ties = ties or Ties(None, clock)

    async def handle(self, payload: dict[str, Any]) -> None:
        """Raises nothing: the person reads what was wrong, and the log too."""
        try:
            await self._handle(payload)
        except (NotSent, NeverSent) as fault:
            _log.warning("an answer to a click in Slack was not sent: %s", fault)
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            _log.warning("a message from Slack cannot be read: %s", type(fault).__name__)

    async def _handle(self, payload: dict[str, Any]) -> None:
        if payload["type"] == "block_actions":
            action = payload["actions"][0]
            if action["action_id"] not in (APPROVE, REFUSE):
                return
            value = orjson.loads(action["value"])
            click = _Click(_text(payload["user"]["id"]), _text(payload["container"]["channel_id"]), *_asked(value))
            if action["action_id"] == REFUSE:
                await self._answered(click, payload, lambda: self._open_dialog(click, payload, action["value"]))
            else:
                await self._answered(click, payload, lambda: self._approve(click))
        elif payload["type"] == "view_submission" and payload["view"]["callback_id"] == REFUSE:
            view = payload["view"]
            value = orjson.loads(view["private_metadata"])
            click = _Click(_text(payload["user"]["id"]), _text(value["channel"]), *_asked(value))
            reason = view["state"]["values"][REASON][REASON]["value"] or ""
            await self._answered(click, payload, lambda: self._refuse(click, _text(reason)))

    async def _answered(
        self, click: _Click, payload: dict[str, Any], action: Callable[[], Awaitable[str | None]]
    ) -> None:
        """Do it, and tell the person alone what came of it."""
        try:
            self._check_source(click, payload)
            text = await action()
        except PgjitError as fault:
            _log.info("a click in Slack on request %s was refused: %s", click.request, fault.message)
            text = "\n".join(part for part in (f"{fault.message}.", fault.detail, fault.hint) if part)
        if text is not None:
            body = {"channel": click.channel, "user": click.user, "text": escaped(text)}
            await self._web.call("chat.postEphemeral", body)

    def _check_source(self, click: _Click, payload: dict[str, Any]) -> None:
        team = (payload.get("team") or {}).get("id")
        if self._section.team is not None and team != self._section.team:
            raise NotKnownInSlack("The click comes from another workspace.")
        if click.channel != self._section.channel:
            raise NotKnownInSlack("The click comes from another channel.")

    async def _approve(self, click: _Click) -> str | None:
        reviewer = await self._reviewer(click)
        request = await self._requests.approve(click.request, reviewer, digest=click.digest)
        return _outcome(request, "Your approval is recorded")

    async def _open_dialog(self, click: _Click, payload: dict[str, Any], value: str) -> None:
        """Slack's trigger is valid for three seconds: nothing is looked up before."""
        self._person(click)
        view = refusal_view(value, click.channel, click.request)
        await self._web.call("views.open", {"trigger_id": _text(payload["trigger_id"]), "view": view})

    async def _refuse(self, click: _Click, reason: str) -> str | None:
        reviewer = await self._reviewer(click)
        request = await self._requests.get(click.request)
        if request.ask.digest != click.digest:
            raise ApprovalVoid(request, "The message is about something else.")
        request = await self._requests.refuse(click.request, reviewer, reason=reason)
        return _outcome(request, "Your refusal is recorded")

    def _person(self, click: _Click) -> PersonSection:
        person = self._people.of_slack(click.user)
        if person is None:
            raise NotKnownInSlack(f"Slack user {click.user} is not mapped to an identity.")
        return person

    async def _reviewer(self, click: _Click) -> Reviewer:
        person = self._person(click)
        request = await self._requests.get(click.request)
        return Reviewer(
            actor=Actor(key=person.key, display=self._people.name_of(person), via="slack"),
            kinds=frozenset({IdentityKind.USER}),
            groups=await self._groups(person, request),
            ties=await self._ties.to_request(person.key, request),
        )

    async def _groups(self, person: PersonSection, request: Request) -> frozenset[GroupId]:
        """INVARIANT: nobody decides by a membership that ended before the click, where a directory is asked."""
        if self._directory is None:
            return person.group_ids
        try:
            principal = Principal(person.key, is_user=True)
            answer = await self._directory.look_up(principal, request.review.groups, self._clock())
        except DirectoryUnavailable as unavailable:
            _log.warning("the groups of a person who clicked in Slack: %s", unavailable)
            raise NotKnownInSlack("Your groups cannot be looked up now; nothing was decided.") from None
        if answer.state is not PrincipalState.ENABLED:
            raise NotKnownInSlack(f"Your account is {answer.state}.")
        return answer.groups


def _asked(value: dict[str, Any]) -> tuple[str, str]:
    return _text(value["request"]), _text(value["digest"])


def _text(value: object) -> str:
    """Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _outcome(request: Request, recorded: str) -> str | None:
    """None if the message itself will show it: it is rewritten."""
    if request.state is RequestState.PENDING:
        missing = request.review.approvals - len(request.approvers)
        return f"{recorded}. Request {request.id} needs {missing} more."
    return None
