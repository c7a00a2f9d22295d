"""A login token of an Azure managed identity, as the secret: what is asked for, and for how long it is kept."""

from __future__ import annotations

import asyncio

from pgjit.identity.azure_token import NoToken, fetch
from pgjit.server.credential import CredentialUnavailable, FetchedSecret, usable

__all__ = ["SCOPE", "fetch_token"]

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""What Azure Database for PostgreSQL takes tokens for."""

_BEFORE_EXPIRY = 300.0  # seconds: a token that ends in the middle of a login is of no use


async def fetch_token(scope: str, client_id: str | None) -> FetchedSecret:
    """Raises CredentialUnavailable."""
    try:
        token, lifetime = await asyncio.to_thread(fetch, scope, client_id)
    except NoToken as fault:
        raise CredentialUnavailable(str(fault)) from None
    return FetchedSecret(
        usable(token, "token of the managed identity"), max(0.0, lifetime.total_seconds() - _BEFORE_EXPIRY)
    )
