"""Fetches one token of this machine's Azure managed identity, with azure-identity (an optional dependency).

Decides which error texts of that library may be shown. No token is in any error.
"""

from __future__ import annotations

import importlib.util
import time
from datetime import timedelta

__all__ = ["NoToken", "fetch", "installed"]

_MOST_SHOWN = 300


class NoToken(Exception):
    """No token could be fetched. The text is for the operators."""


def installed() -> bool:
    try:
        return importlib.util.find_spec("azure.identity") is not None
    except ModuleNotFoundError:
        return False


def fetch(scope: str, client_id: str | None) -> tuple[str, timedelta]:
    """A token for `scope` and its remaining lifetime. `client_id` selects one of several identities of the machine.

    Blocks: the asynchronous API of azure-identity would need a second HTTP library. Raises NoToken.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import ManagedIdentityCredential
    except ImportError:
        raise NoToken("azure-identity is not installed: pip install 'pgjit[azure]'") from None
    try:
        # A new credential each time: one that is kept has a cache, which would return a refused token again.
        with ManagedIdentityCredential(client_id=client_id) as identity:
            token = identity.get_token(scope)
    except AzureError as fault:
        text = " ".join(str(fault).split())[:_MOST_SHOWN]
        raise NoToken(f"managed identity gave no token: {text}") from None
    except Exception as fault:  # noqa: BLE001 - the text of any other error may hold a secret
        raise NoToken(f"managed identity gave no token ({type(fault).__name__})") from None
    return str(token.token), timedelta(seconds=max(0.0, token.expires_on - time.time()))
