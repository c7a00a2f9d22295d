"""pgjit's own access tokens, as this machine's managed identity: no secret and no file is needed.

Decides how long a token is kept, and that one fetch runs at a time. No token is in any error, log or `repr`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from pgjit.identity.azure_token import NoToken, fetch
from pgjit.identity.directory import DirectoryUnavailable
from pgjit.single_flight import SingleFlight

__all__ = ["ManagedIdentityTokens"]

_BEFORE_END: Final = timedelta(minutes=5)

Fetched = tuple[str, timedelta]  # a token and its remaining lifetime


class ManagedIdentityTokens:
    """The token of the machine's own tenant: a managed identity has tokens of no other."""

    def __init__(
        self, scope: str, client_id: str | None, fetch: Callable[[str, str | None], Fetched] | None = None
    ) -> None:
        """`client_id` selects one of several identities of the machine."""
        self._scope = scope
        self._client_id = client_id
        self._fetch = fetch or _from_azure
        self._kept: tuple[str, datetime] | None = None
        self._fetching = SingleFlight(
            self._fetch_in_thread, stopped=lambda: DirectoryUnavailable("pgjit is stopping")
        )

    async def get(self, tenant: str, now: datetime) -> str:  # noqa: ARG002 - there is only one
        """Raises DirectoryUnavailable."""
        if self._kept is not None and now < self._kept[1]:
            return self._kept[0]
        token, lifetime = await self._fetching()
        self._kept = token, now + max(lifetime - _BEFORE_END, lifetime / 2)
        return token

    def drop(self, tenant: str, token: str) -> None:  # noqa: ARG002
        """The token was not accepted: forget it, so that the next one is fetched."""
        if self._kept is not None and self._kept[0] == token:
            self._kept = None

    async def close(self) -> None:
        """Stop waiting for the fetch under way."""
        await self._fetching.close()

    async def _fetch_in_thread(self) -> Fetched:
        return await asyncio.to_thread(self._fetch, self._scope, self._client_id)


def _from_azure(scope: str, client_id: str | None) -> Fetched:
    try:
        return fetch(scope, client_id)
    except NoToken as fault:
        raise DirectoryUnavailable(str(fault)) from None
