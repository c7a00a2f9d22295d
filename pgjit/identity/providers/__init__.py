"""The identity providers by the name that the configuration gives them."""

from __future__ import annotations

from typing import Final

from pgjit.identity.providers.entra import EntraProvider

__all__ = ["PROVIDERS"]

PROVIDERS: Final = {"entra": EntraProvider}
