"""One token of this machine's Azure managed identity, by azure-identity, an optional part of the installation.

Decides nothing but which words of that library are fit to be read. No token is in any error.
"""

from __future__ import annotations

import importlib.util
import time
from datetime import timedelta

__all__ = ["NoToken", "fetch", "installed"]

_MOST_SHOWN = 300


class NoToken(Exception):
    """Why there is none, for the operators."""


def installed() -> bool:
    try:
        return importlib.util.find_spec("azure.identity") is not None
    except ModuleNotFoundError:
        return False


def fetch(scope: str, client_id: str | None) -> tuple[str, timedelta]:
    """A token for `scope`, and how long it is still good. `client_id` names one of several identities of the machine.

    Blocks: its asynchronous half needs another HTTP client, of which we already have one. Raises NoToken.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import ManagedIdentityCredential
    except ImportError:
        raise NoToken("azure-identity is not installed: pip install 'pgjit[azure]'") from None
    try:
        # Made anew each time: it has a cache of its own, which would give a refused token again.
        with ManagedIdentityCredential(client_id=client_id) as identity:
            token = identity.get_token(scope)
    except AzureError as fault:
        text = " ".join(str(fault).split())[:_MOST_SHOWN]
        raise NoToken(f"managed identity gave no token: {text}") from None
    except Exception as fault:  # noqa: BLE001 - what else a library may raise is not known to be fit for a log
        raise NoToken(f"managed identity gave no token ({type(fault).__name__})") from None
    return str(token.token), timedelta(seconds=max(0.0, token.expires_on - time.time()))
