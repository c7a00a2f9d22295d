"""The `notify` section of the configuration: which channels there are, what they send, and whom they reach.

Decides the form, and the faults that can be seen without a connection. Secrets come from the sections for secrets;
they are never in the file.
"""

from __future__ import annotations

import importlib.util
import re
import ssl
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from pgjit.document import Document
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.url_checks import is_loopback, url_faults
from pgjit.notify.events import BY_DEFAULT, EventName
from pgjit.notify.webhook_signature import read_keys
from pgjit.server.credential import CredentialUnavailable, FixedSecret, FromFile, LoginCredential
from pgjit.server.login_config import SecretSection, credential_of

__all__ = [
    "ChannelSecrets",
    "ChannelSection",
    "MailSection",
    "NotifySection",
    "PersonSection",
    "SlackSection",
    "TeamsSection",
    "WebhookSection",
    "check_notify",
    "url_fault",
]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\Z")
_IDENTITY = re.compile(r"[^\s/]+/[^\s/]+\Z")
_SLACK_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,30}\Z")
_SLACK_TEAM = re.compile(r"T[A-Z0-9]{2,30}\Z")
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,30}\Z")
ChannelSecrets = Mapping[tuple[str, str], LoginCredential]
"""By channel and key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(value: str) -> str:
    if not _ADDRESS.match(value) or len(value) > 254:
        raise ValueError("must be a plain mail address, such as `dba@example.com`")
    return value


def _matching(value: str | None, pattern: re.Pattern[str], example: str) -> str | None:
    if value is not None and not pattern.match(value):
        raise ValueError(f"must be of the form `{example}`")
    return value


def url_fault(value: str) -> str | None:
    """What is wrong with the URL of a receiver. It may have a query, which is a secret in some of them."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        return "is not a URL"
    if not url.host or url.userinfo or url.fragment or not value.isascii() or " " in value:
        return "is not of the form `https://host/path`"
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host)):
        return None
    return "is not https: what is sent unprotected can be read and changed by anyone"


def _guids(value: object) -> object:
    """One is a list of one. A GUID is written in lower case, as tokens are read."""
    return tuple(_guid(each) for each in (value if isinstance(value, (list, tuple)) else [value]))


def _guid(value: object) -> object:
    try:
        return str(uuid.UUID(str(value))) if isinstance(value, str) else value
    except ValueError:
        return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class ChannelSecretSection(_Section):
    """Where a secret is: never in this file. One of the three."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(
        default=None, description="file that holds it, read for every message; one newline at its end is left out"
    )
    command: tuple[str, ...] | None = Field(
        default=None, description="program and arguments, run without a shell; it prints the secret"
    )

    @model_validator(mode="after")
    def _one(self) -> ChannelSecretSection:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("give one of `env`, `file` and `command`")
        return self


class WebhookSection(_Section):
    """Signed messages to a program, by the Standard Webhooks specification."""

    url: str = Field(description="https; http only to this machine. It is not logged")
    secret: ChannelSecretSection = Field(
        description="where the signing key is: `whsec_` and base64; several, with spaces between, while it changes"
    )


class SlackSection(_Section):
    """Messages in a Slack channel, with buttons to approve and refuse; needs `pip install 'pgjit[slack]'`."""

    channel: str = Field(description="id of the channel, such as `C0123456789`")
    bot_token: ChannelSecretSection = Field(description="where the bot's token (`xoxb-`) is")
    app_token: ChannelSecretSection | None = Field(
        default=None,
        description="where the app's token (`xapp-`) for Socket Mode is; without it there are no buttons",
    )
    team: str | None = Field(
        default=None, description="id of the workspace, such as `T0123456789`; clicks from others are refused"
    )
    api_url: str = Field(default="https://slack.com/api/", description="base of Slack's Web API")
    mention: bool = Field(
        default=False, description="mention the approvers among `notify.people` who are not `quiet`"
    )

    @field_validator("channel")
    @classmethod
    def _channel(cls, value: str) -> str | None:
        return _matching(value, _SLACK_CHANNEL, "C0123456789")

    @field_validator("team")
    @classmethod
    def _team(cls, value: str | None) -> str | None:
        return _matching(value, _SLACK_TEAM, "T0123456789")


class TeamsSection(_Section):
    """Cards in a Teams channel, by a workflow's webhook. They link to the request; Teams decides nothing."""

    url: ChannelSecretSection = Field(
        description="where the URL of the workflow's webhook is: it contains a signature"
    )


class MailSection(_Section):
    """E-mail by SMTP, always over verified TLS."""

    host: str = Field(min_length=1, description="SMTP server")
    port: int = Field(default=587, ge=1, le=65535, description="TCP port")
    tls: Literal["starttls", "tls"] = Field(default="starttls", description="`tls` from the first byte (port 465)")
    ca: Path | None = Field(default=None, description="PEM file of the CA; without it, the system's CAs")
    username: str | None = Field(default=None, min_length=1, description="login name, if the server wants a login")
    password: ChannelSecretSection | None = Field(default=None, description="where its password is")
    sender: str = Field(description="address in From")
    to: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="who gets every message of this channel"
    )
    approvers: bool = Field(
        default=False,
        description="a new request also goes to its approvers among `notify.people` who are not `quiet`",
    )
    requester: bool = Field(
        default=False, description="a verdict or lapse also goes to the requester, if `notify.people` has the address"
    )

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        return _address(value)

    @field_validator("to")
    @classmethod
    def _to(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(each) for each in value)

    @model_validator(mode="after")
    def _fits(self) -> MailSection:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together")
        if not (self.to or self.approvers or self.requester):
            raise ValueError("nobody would get a message: give `to`, `approvers` or `requester`")
        return self


class ChannelSection(_Section):
    """One way to notify people or programs. Give one of `webhook`, `slack`, `teams` and `mail`."""

    webhook: WebhookSection | None = None
    slack: SlackSection | None = None
    teams: TeamsSection | None = None
    mail: MailSection | None = None
    events: tuple[EventName, ...] | None = Field(
        default=None, description="what it is notified of; by default all but `request.verdict` and `request.used`"
    )

    @property
    def subscribed(self) -> frozenset[EventName]:
        return frozenset(BY_DEFAULT if self.events is None else self.events)

    @model_validator(mode="after")
    def _one(self) -> ChannelSection:
        if sum(each is not None for each in (self.webhook, self.slack, self.teams, self.mail)) != 1:
            raise ValueError("give one of `webhook`, `slack`, `teams` and `mail`")
        return self


class PersonSection(_Section):
    """A person or agent whom channels can reach."""

    identity: str = Field(description="`TENANT/OBJECT`, as in records")
    mail: str | None = Field(default=None, description="mail address")
    slack: str | None = Field(
        default=None,
        description="Slack user id: whoever clicks under it acts as this identity",
    )
    groups: Annotated[tuple[str, ...], BeforeValidator(_guids)] = Field(
        default=(),
        description=(
            "the groups as an approver: to notify of a request, and for clicks where no directory is configured"
        ),
    )
    quiet: bool = Field(default=False, description="may approve, but is not notified of each request")

    @field_validator("identity")
    @classmethod
    def _identity(cls, value: str) -> str | None:
        return _matching(value, _IDENTITY, "TENANT/OBJECT")

    @field_validator("slack")
    @classmethod
    def _slack(cls, value: str | None) -> str | None:
        return _matching(value, _SLACK_USER, "U0123456789")

    @field_validator("mail")
    @classmethod
    def _mail(cls, value: str | None) -> str | None:
        return None if value is None else _address(value)

    @property
    def key(self) -> IdentityKey:
        tid, _, oid = self.identity.partition("/")
        return IdentityKey(tid.lower(), oid.lower())

    @property
    def group_ids(self) -> frozenset[GroupId]:
        return frozenset(GroupId(each) for each in self.groups)


class NotifySection(_Section):
    """Who is notified of requests, verdicts, break-glass access, revocations and locks. Without it, nobody."""

    channels: dict[str, ChannelSection] = Field(min_length=1)
    people: dict[str, PersonSection] = Field(default={})
    link: str | None = Field(
        default=None,
        description="URL in messages, with `{id}` and perhaps `{kind}` (`request`, `window`, `lock`) to be filled in",
    )
    give_up_after: float = Field(
        default=86400, ge=60, le=604800, description="seconds for which a message that fails is tried again"
    )

    @model_validator(mode="after")
    def _fits(self) -> NotifySection:
        for name in self.channels:
            if not _NAME.match(name):
                raise ValueError(
                    f"channel `{name}` must begin with a lower-case letter and hold a-z, 0-9, `-` and `_`"
                )
        for what in ("identity", "slack"):
            values = [
                value.lower() for person in self.people.values() if (value := getattr(person, what)) is not None
            ]
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"`people` has {what} `{twice[0]}` twice")
        if self.link is not None:
            if "{id}" not in self.link:
                raise ValueError("`link` has no `{id}`")
            if fault := url_fault(self.link.replace("{id}", "x").replace("{kind}", "x")):
                raise ValueError(f"`link` {fault}")
        return self


def check_notify(document: Document, folder: Path, section: NotifySection) -> ChannelSecrets:
    """The sources of the channels' secrets. What cannot be right is added to `document` as a fault."""
    secrets: dict[tuple[str, str], LoginCredential] = {}
    for name, channel in section.channels.items():
        where = ("notify", "channels", name)
        for key, secret in _secrets_of(channel):
            kind = (
                "webhook" if channel.webhook else "slack" if channel.slack else "teams" if channel.teams else "mail"
            )
            source = SecretSection(**secret.model_dump(exclude_none=True))
            credential = credential_of(document, folder, (*where, kind, key), source)
            assert credential is not None
            secrets[name, key] = credential
        if channel.webhook is not None:
            _check_webhook(document, (*where, "webhook"), channel.webhook, secrets[name, "secret"])
        if channel.teams is not None:
            _check_teams(document, (*where, "teams", "url"), secrets[name, "url"])
        if channel.slack is not None:
            _check_slack(document, (*where, "slack"), channel.slack)
        if channel.mail is not None and channel.mail.ca is not None:
            _check_ca(document, (*where, "mail", "ca"), folder / channel.mail.ca)
    return secrets


def _secrets_of(channel: ChannelSection) -> list[tuple[str, ChannelSecretSection]]:
    pairs: list[tuple[str, ChannelSecretSection | None]] = []
    if channel.webhook is not None:
        pairs.append(("secret", channel.webhook.secret))
    if channel.slack is not None:
        pairs += [("bot_token", channel.slack.bot_token), ("app_token", channel.slack.app_token)]
    if channel.teams is not None:
        pairs.append(("url", channel.teams.url))
    if channel.mail is not None:
        pairs.append(("password", channel.mail.password))
    return [(key, secret) for key, secret in pairs if secret is not None]


def _check_webhook(
    document: Document, where: tuple[str, ...], section: WebhookSection, secret: LoginCredential
) -> None:
    if fault := url_fault(section.url):
        document.fault((*where, "url"), fault)
    value = _value_now(secret)
    if value:
        try:
            read_keys(value)
        except ValueError as unfit:
            document.fault((*where, "secret"), str(unfit))


def _check_teams(document: Document, where: tuple[str, ...], secret: LoginCredential) -> None:
    value = _value_now(secret)
    if value and (fault := url_fault(value.strip())):
        document.fault(where, f"holds a URL that {fault}")


def _check_slack(document: Document, where: tuple[str, ...], section: SlackSection) -> None:
    if importlib.util.find_spec("slack_sdk") is None or importlib.util.find_spec("aiohttp") is None:
        document.fault(where, "needs slack-sdk and aiohttp: pip install 'pgjit[slack]'")
    for fault in url_faults("api_url", section.api_url, allow_http=False):
        document.fault((*where, "api_url"), fault.removeprefix("`api_url` "))


def _check_ca(document: Document, where: tuple[str, ...], path: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as fault:  # ssl.SSLError is one
        document.fault(where, f"`{path}` is not a file of certificates: {fault.strerror or fault}")


def _value_now(secret: LoginCredential) -> str | None:
    """The secret of a source that can be read at once. None for the others, and for one that has a fault already."""
    if isinstance(secret, FixedSecret):
        return secret.value or None
    if isinstance(secret, FromFile):
        try:
            return secret.read()
        except CredentialUnavailable:
            return None
    return None
