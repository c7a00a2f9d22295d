"""Calls of Slack's Web API, and what its errors mean: which are tried again, and which a person has to act on."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from pgjit.identity.fetch import web_authorities
from pgjit.identity.url_checks import is_loopback
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["SlackWeb", "error_name"]

_SECONDS = 10
_FOR_OPERATORS = frozenset(
    "invalid_auth token_revoked token_expired account_inactive not_authed no_permission missing_scope "
    "org_login_required ekm_access_denied access_denied team_access_not_granted channel_not_found not_in_channel "
    "is_archived restricted_action not_allowed_token_type".split()
)
_FINAL = frozenset("msg_too_long invalid_blocks invalid_arguments no_text msg_blocks_too_long".split())


class SlackWeb:
    """`token`: of the bot. It is read for every call, so that a new one is used at once."""

    def __init__(self, api_url: str, token: LoginCredential) -> None:
        self._api_url = api_url
        self._token = token

    def client(self, token: str | None = None) -> AsyncWebClient:
        made = AsyncWebClient(
            token=token,
            base_url=self._api_url,
            timeout=_SECONDS,
            ssl=web_authorities(),
            retry_handlers=[],  # a repeat must be known as one
        )
        if is_loopback(httpx.URL(self._api_url).host):
            made.proxy = None
        return made

    async def call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises NotSent or NeverSent."""
        try:
            client = self.client(await self._token.secret())
            answer = await client.api_call(method, json=body)
        except CredentialUnavailable as fault:
            raise NotSent(str(fault), report=True) from None
        except SlackApiError as fault:
            raise _meaning(fault) from None
        except (TimeoutError, SlackClientError, aiohttp.ClientError, OSError, ValueError) as fault:
            raise NotSent(f"no answer: {type(fault).__name__}") from None
        return answer.data if isinstance(answer.data, dict) else {}


def error_name(fault: SlackApiError) -> str:
    """Slack's name of the error, if it has the form of one."""
    response = fault.response
    name = response.get("error") if hasattr(response, "get") else None
    return name if isinstance(name, str) and name.isascii() and name.replace("_", "").isalnum() else "no error name"


def _meaning(fault: SlackApiError) -> NotSent | NeverSent:
    name = error_name(fault)
    if name in _FINAL:
        return NeverSent(name)
    wait = getattr(fault.response, "headers", {}).get("Retry-After", "")
    return NotSent(name, after=float(wait) if wait.isdigit() else None, report=name in _FOR_OPERATORS)
