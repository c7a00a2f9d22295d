"""An access token of an Azure managed identity as the login secret: its scope, and how long it is cached."""

from __future__ import annotations

import asyncio

from pgjit.identity.azure_token import NoToken, fetch
from pgjit.server.credential import CredentialUnavailable, FetchedSecret, check_secret

__all__ = ["SCOPE", "fetch_token"]

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""The scope of tokens for Azure Database for PostgreSQL."""

_BEFORE_EXPIRY = 300.0  # seconds: a token must not expire in the middle of a login


async def fetch_token(scope: str, client_id: str | None) -> FetchedSecret:
    """Raises CredentialUnavailable."""
    try:
        token, lifetime = await asyncio.to_thread(fetch, scope, client_id)
    except NoToken as fault:
        raise CredentialUnavailable(str(fault)) from None
    return FetchedSecret(
        check_secret(token, "token of the managed identity"), max(0.0, lifetime.total_seconds() - _BEFORE_EXPIRY)
    )
