"""The identity providers by the name that the configuration gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pgjit.identity.provider import Provider
from pgjit.identity.providers import entra, oidc
from pgjit.identity.section import IdentitySection

__all__ = ["PROVIDERS"]

PROVIDERS: Final[Mapping[str, Callable[[IdentitySection, int], Provider]]] = {
    "entra": entra.from_section,
    "oidc": oidc.from_section,
}
"""What makes one from its section of the configuration and the largest size of a token."""
