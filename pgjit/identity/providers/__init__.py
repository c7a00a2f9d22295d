"""The identity providers, by the name that `identity.provider` in the configuration gives them.

Each plug-in decides which issuers, audiences and versions of tokens are accepted, from its section of the
configuration. It fetches keys only from URLs that the configuration pins, never from one in a token.

Words:
- provider: `start`, `ready`, `verify`, `discovery` and `close`, as `pgjit.identity.provider` defines them.
- settings: the validated values of the configuration. Invalid ones are reported all at once (InvalidFile).
- expected claims: what the claims of an accepted token must be.
- discovery: where a client without a token can get one.

A reader starts in `entra.py` (Microsoft Entra: one or several tenants, tokens of versions 1 and 2) or `oidc.py` (any
other OpenID Connect issuer). The steps that both share are in `pgjit.identity.verification`.

To add a provider: a file here with `from_section`, a line in PROVIDERS, its keys in `pgjit.identity.section`, and the
tests of `tests/contracts/provider.py`. Only `app` (and the demo) opens providers.

A provider does not know policies, group memberships in a directory, or sessions.
"""

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
"""By name: the function that makes a provider from its section of the configuration and the maximum token size."""
