"""Microsoft Entra as identity provider: an access token for our API registration is the proof.

Decides the order of the checks: shape (jws.py), key (keys.py), signature, then claims (claims.py). Makes no
call that a token could steer: the one place it fetches from is pinned by the configuration.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx
from jwt import InvalidTokenError, PyJWS

from pgjit.errors import InvalidFile, ServerUnavailable, TokenRefused
from pgjit.identity.claims import GUID, Expected, read_identity
from pgjit.identity.identity import Identity
from pgjit.identity.jws import HARD_MAX_BYTES, Jws, StrictJsonError, read_object, take_apart
from pgjit.identity.keys import SigningKeys
from pgjit.identity.provider import Discovery

__all__ = ["EntraProvider", "EntraSettings"]

_MAX_LEEWAY: Final = timedelta(minutes=5)
_LONGEST_AGE: Final = timedelta(hours=24)  # the longest that Entra issues to workloads


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraSettings:
    """Which tokens are ours. Raises InvalidFile, with every fault, when it cannot say so safely."""

    tenant: str
    audience: str
    authority: str = "https://login.microsoftonline.com"
    leeway: timedelta = timedelta(seconds=60)
    max_token_age: timedelta = _LONGEST_AGE
    max_token_bytes: int = 16 * 1024
    allow_http: bool = False

    def __post_init__(self) -> None:
        faults = [f"`{name}` is not a GUID" for name in ("tenant", "audience") if not GUID.match(getattr(self, name))]
        faults += _authority_faults(self.authority, allow_http=self.allow_http)
        if not timedelta() <= self.leeway <= _MAX_LEEWAY:
            faults.append("`leeway` is not between 0 and 5 minutes")
        if not timedelta() < self.max_token_age <= _LONGEST_AGE:
            faults.append("`max_token_age` is not more than 0 and at most 24 hours")
        if not 0 < self.max_token_bytes <= HARD_MAX_BYTES:
            faults.append(f"`max_token_bytes` is not between 1 and {HARD_MAX_BYTES}")
        if faults:
            raise InvalidFile("identity configuration", faults)
        object.__setattr__(self, "tenant", self.tenant.lower())
        object.__setattr__(self, "audience", self.audience.lower())
        object.__setattr__(self, "authority", self.authority.removesuffix("/"))

    @property
    def issuer(self) -> str:
        """What `iss` of a v2.0 token says."""
        return f"{self.authority}/{self.tenant}/v2.0"


def _authority_faults(authority: str, *, allow_http: bool) -> list[str]:
    try:
        url = httpx.URL(authority)
    except httpx.InvalidURL:
        return ["`authority` is not a URL"]
    plain = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    if not url.host or authority.removesuffix("/") != plain or url.userinfo:
        return ["`authority` is not of the form `https://host`, in lower case"]
    if url.scheme == "https":
        return []
    if url.scheme == "http" and (allow_http or _is_loopback(url.host)):
        return []
    return ["`authority` is not https: keys that come unprotected can be anyone's"]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class EntraProvider:
    """The provider `entra`."""

    def __init__(
        self,
        settings: EntraSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._expected = Expected(
            issuer=settings.issuer,
            tenant=settings.tenant,
            audience=settings.audience,
            leeway=settings.leeway,
            max_age=settings.max_token_age,
        )
        # A proxy named by the environment leads out, never back to this machine.
        outside = not _is_loopback(httpx.URL(settings.authority).host)
        self._keys = SigningKeys(
            authority=settings.authority,
            tenant=settings.tenant,
            client=httpx.AsyncClient(transport=transport, timeout=5.0, trust_env=outside),
            monotonic=monotonic,
            sleep=sleep,
        )
        self._signatures = PyJWS(algorithms=["RS256"], options={"enforce_minimum_key_length": True})

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise when Entra cannot be reached."""
        await self._keys.start()

    @property
    def ready(self) -> bool:
        """True while there are keys to check tokens with."""
        return self._keys.ready

    @property
    def discovery(self) -> Discovery:
        """Entra's own metadata of the one tenant, and all permissions of the one API."""
        settings = self._settings
        return Discovery(f"{settings.issuer}/.well-known/openid-configuration", f"{settings.audience}/.default")

    async def close(self) -> None:
        """Stop fetching keys."""
        await self._keys.close()

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves. Raises TokenRefused, or ServerUnavailable without any keys."""
        try:
            jws = take_apart(token, self._settings.max_token_bytes)
            claims = await self._verified_claims(jws)
            return read_identity(claims, self._expected, now)
        except (TokenRefused, ServerUnavailable):
            raise
        except Exception as fault:  # noqa: BLE001 - what nobody thought of is refused as well
            # Without the cause: its text could quote the token.
            raise TokenRefused("check-failed", f"the token could not be checked: {type(fault).__name__}") from None

    async def _verified_claims(self, jws: Jws) -> dict[str, object]:
        key = await self._keys.get(jws.kid)
        try:
            verified = self._signatures.decode_complete(jws.token, key, algorithms=["RS256"])
        except InvalidTokenError as fault:
            raise TokenRefused("bad-signature", f"the signature does not hold: {type(fault).__name__}") from None
        try:
            return read_object(verified["payload"])
        except StrictJsonError as fault:
            raise TokenRefused("malformed-claims", f"the payload {fault}") from None
