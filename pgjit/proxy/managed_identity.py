"""A login token of an Azure managed identity, as the secret: what is asked for, and for how long it is kept.

azure-identity is an optional part of the installation.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time

from pgjit.proxy.credential import CredentialUnavailable, Fresh, usable

__all__ = ["SCOPE", "fetch_token", "installed"]

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""What Azure Database for PostgreSQL takes tokens for."""

_BEFORE_EXPIRY = 300.0  # seconds: a token that ends in the middle of a login is of no use
_MOST_SHOWN = 300


def installed() -> bool:
    try:
        return importlib.util.find_spec("azure.identity") is not None
    except ModuleNotFoundError:
        return False


async def fetch_token(scope: str, client_id: str | None) -> Fresh:
    """Raises CredentialUnavailable."""
    # Its asynchronous half needs another HTTP client, of which we already have one: in a thread then.
    return await asyncio.to_thread(_fetch, scope, client_id)


def _fetch(scope: str, client_id: str | None) -> Fresh:
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import ManagedIdentityCredential
    except ImportError:
        raise CredentialUnavailable("azure-identity is not installed: pip install 'pgjit[azure]'") from None
    try:
        # Made anew each time: it has a cache of its own, which would give a refused token again.
        with ManagedIdentityCredential(client_id=client_id) as identity:
            token = identity.get_token(scope)
    except AzureError as fault:
        text = " ".join(str(fault).split())[:_MOST_SHOWN]
        raise CredentialUnavailable(f"managed identity gave no token: {text}") from None
    except Exception as fault:  # noqa: BLE001 - what else a library may raise is not known to be fit for a log
        raise CredentialUnavailable(f"managed identity gave no token ({type(fault).__name__})") from None
    left = token.expires_on - time.time() - _BEFORE_EXPIRY
    return Fresh(usable(token.token, "token of the managed identity"), max(0.0, left))
