"""Our own tokens as this machine's managed identity: nothing is kept in a file, and there is no secret.

Decides how long a token is used and that it is asked for once at a time. No token is in any error, log or `repr`.
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

Fetched = tuple[str, timedelta]  # a token, and how long it is still good


class ManagedIdentityTokens:
    """Of the one tenant that the machine is in: a managed identity has no tokens of others."""

    def __init__(
        self, scope: str, client_id: str | None, fetch: Callable[[str, str | None], Fetched] | None = None
    ) -> None:
        """`client_id` names one of several identities of the machine."""
        self._scope = scope
        self._client_id = client_id
        self._fetch = fetch or _from_azure
        self._kept: tuple[str, datetime] | None = None
        self._fetching = SingleFlight(
            self._fetch_in_thread, stopped=lambda: DirectoryUnavailable("pgjit is stopping")
        )

    async def get(self, tenant: str, now: datetime) -> str:  # noqa: ARG002 - of the one that there is
        """Raises DirectoryUnavailable."""
        if self._kept is not None and now < self._kept[1]:
            return self._kept[0]
        token, lifetime = await self._fetching()
        self._kept = token, now + max(lifetime - _BEFORE_END, lifetime / 2)
        return token

    def drop(self, tenant: str, token: str) -> None:  # noqa: ARG002
        """It was not accepted: the next one is fetched anew."""
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
