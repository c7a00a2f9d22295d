"""The signing keys of an issuer: fetched in advance, refreshed, and kept through an outage.

Decides which keys are accepted, how old they may be and how often the key set is fetched. The URLs are pinned by the
configuration, and no token can change them. Of a token it knows only the key id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from jwt import PyJWK

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.fetch import AnswerRefused, fetch_object
from pgjit.identity.jws import KID, unbase64url
from pgjit.single_flight import SingleFlight
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["KeySource", "KeysRefused", "SigningKeys", "parse_key_set"]

REFRESH_SECONDS: Final = 3600.0
MAX_AGE_SECONDS: Final = 24 * 3600.0
FORCED_EVERY_SECONDS: Final = 15.0
FORCED_AT_ONCE: Final = 3
"""Unknown key ids cause at most so many fetches at once, then one every FORCED_EVERY_SECONDS. Anyone can invent a key
id. A flood of them delays a new key no longer than that, since each fetch finds all published keys."""

_MAX_KEYS: Final = 1000
_RSA_BITS: Final = range(2048, 8193)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeysRefused(Exception):
    """The fetched key set cannot be used. The keys from before are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """One issuer and the URLs of its keys, as the configuration pins them."""

    issuer: str  # equals `issuer` in its metadata and `iss` in its tokens
    metadata: str  # URL of its metadata
    keys: str | None = None  # URL of its key set, if that is on another host than the metadata
    key_issuers: frozenset[str] = frozenset()  # other accepted values of a key's member `issuer`
    tenant: str = ""  # replaces `{tenantid}` in that member


class SigningKeys:
    """The key set of one issuer. A background task refreshes it."""

    def __init__(
        self,
        source: KeySource,
        *,
        client: httpx.AsyncClient,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        fetch_seconds: float = 5.0,
    ) -> None:
        """The caller closes `client`. `fetch_seconds`: the time limit for metadata and key set together."""
        self.issuer = source.issuer
        self.dependency = ExternalDependency("signing-keys", source.issuer)
        self._source = source
        self._metadata_url = httpx.URL(source.metadata)
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep
        self._fetch_seconds = fetch_seconds
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = 0.0
        self._forced = 0.0  # fetches for unknown key ids, minus one for every FORCED_EVERY_SECONDS since
        self._forced_at = 0.0
        self._fetching = SingleFlight(self._fetch, stopped=lambda: KeysRefused("pgjit is stopping"))
        self._background: asyncio.Task[None] | None = None

    # --- start and close, look-ups -------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin fetching in the background. Does not raise: an issuer that cannot be reached is retried."""
        if self._background is None:
            self._fetching.begin()  # now: a token that comes before the first answer waits for it
            self._background = asyncio.create_task(self._keep_fresh(), name="signing keys")

    @property
    def ready(self) -> bool:
        """Whether there are keys that are not too old."""
        return bool(self._keys) and self._monotonic() - self._fetched_at < MAX_AGE_SECONDS

    @property
    def age(self) -> float:
        """Seconds since the keys were fetched; 0 before that."""
        return self._monotonic() - self._fetched_at if self._keys else 0.0

    async def close(self) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
        await self._fetching.close()

    def known(self, kid: str) -> PyJWK | None:
        """The key with the id `kid`, if it was fetched before."""
        return self._keys.get(kid) if self.ready else None

    async def get(self, kid: str) -> PyJWK:
        """The key with the id `kid`. Raises TokenRefused if there is none, ServerUnavailable without any keys."""
        if self.ready and kid in self._keys:
            return self._keys[kid]
        if self._fetching.running is not None or (self.ready and self._may_force()):
            await self._refresh()
        if not self.ready:
            raise ServerUnavailable(
                "access tokens cannot be checked now",
                reference="signing-keys-unavailable",
                detail="The identity provider's signing keys are not known.",
                hint="Try again in a moment; the operators of this proxy have to look at its identity provider.",
            )
        if kid not in self._keys:
            raise TokenRefused("unknown-key", "the token is signed by a key that the tenant does not publish")
        return self._keys[kid]

    def _may_force(self) -> bool:
        """Whether an unknown key id may cause a fetch now. If so, the fetch is counted."""
        if self._background is None:
            return False
        now = self._monotonic()
        self._forced = max(0.0, self._forced - (now - self._forced_at) / FORCED_EVERY_SECONDS)
        self._forced_at = now
        if self._forced > FORCED_AT_ONCE - 1:
            return False
        self._forced += 1
        return True

    # --- fetching ------------------------------------------------------------------------------------------

    async def _keep_fresh(self) -> None:
        failures = 0
        while True:
            failures = 0 if await self._refresh() else failures + 1
            longest = 300.0 if self.ready else 30.0
            await self._sleep(min(2.0 ** min(failures - 1, 10), longest) if failures else REFRESH_SECONDS)

    async def _refresh(self) -> bool:
        """Whether a new key set was accepted. Does not raise."""
        try:
            return await self._fetching()
        except KeysRefused:  # this is being closed
            return False

    async def _fetch(self) -> bool:
        """Whether a new key set was accepted. Does not raise: what went wrong is logged, the last good keys stay."""
        try:
            async with asyncio.timeout(self._fetch_seconds):
                metadata = await fetch_object(self._client, self._metadata_url)
                keys = parse_key_set(await fetch_object(self._client, self._keys_url(metadata)), self._source)
        except TimeoutError:
            fault = f"no whole answer within {self._fetch_seconds:g} s"
        except (KeysRefused, AnswerRefused) as refused:
            fault = str(refused)
        except Exception as unexpected:  # noqa: BLE001 - no fault of a fetch may end the fetching
            fault = type(unexpected).__name__
        else:
            self._keys, self._fetched_at = keys, self._monotonic()
            self.dependency.works()
            return True
        self.dependency.failed(f"keys were not fetched: {fault}")
        return False

    def _keys_url(self, metadata: Mapping[str, object]) -> httpx.URL:
        if metadata.get("issuer") != self.issuer:
            raise KeysRefused("the metadata is of another issuer")
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise KeysRefused("the metadata has no valid `jwks_uri`")
        try:
            url = httpx.URL(jwks_uri)
        except httpx.InvalidURL:
            raise KeysRefused("the metadata has no valid `jwks_uri`") from None
        if self._source.keys is not None:
            if jwks_uri != self._source.keys:
                raise KeysRefused("the metadata names keys at another URL than the configuration")
        elif _origin(url) != _origin(self._metadata_url) or url.userinfo:
            raise KeysRefused("the metadata names keys on another host")
        return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


# --- which keys are accepted ------------------------------------------------------------------------------


def parse_key_set(document: Mapping[str, object], source: KeySource) -> dict[str, PyJWK]:
    """The usable keys of a key set, by key id. Raises KeysRefused if the whole set must not be used.

    Keys of other kinds and other issuers are left out. A set with private keys or duplicate key ids is refused: no
    correct issuer publishes one.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise KeysRefused(f"the key set is not a list of at most {_MAX_KEYS} keys")
    keys: dict[str, PyJWK] = {}
    seen: set[str] = set()
    for entry in entries:
        if not isinstance(entry, dict):
            raise KeysRefused("the key set holds something that is not a key")
        if not _PRIVATE.isdisjoint(entry):
            raise KeysRefused("the key set shows private keys")
        kid = entry.get("kid")
        if not isinstance(kid, str) or not KID.match(kid):
            continue
        if kid in seen:
            raise KeysRefused("the key set holds a key id twice")
        seen.add(kid)
        key = _read_key(entry, source)
        if key is not None:
            keys[kid] = key
    if not keys:
        raise KeysRefused("the key set holds no key that can be used")
    return keys


def _read_key(entry: Mapping[str, object], source: KeySource) -> PyJWK | None:
    if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
        return None
    if "issuer" in entry:
        signs_for = entry["issuer"]
        issuers = {source.issuer, *source.key_issuers}
        if not isinstance(signs_for, str) or signs_for.replace("{tenantid}", source.tenant) not in issuers:
            return None
    modulus, exponent = entry.get("n"), entry.get("e")
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        return None
    try:
        bits = int.from_bytes(unbase64url(modulus)).bit_length()
        public = int.from_bytes(unbase64url(exponent))
    except ValueError:
        return None
    if bits not in _RSA_BITS or not 65537 <= public < 2**32 or public % 2 == 0:
        return None
    # Only these members: no other member may change how a signature is verified.
    return PyJWK({"kty": "RSA", "n": modulus, "e": exponent}, algorithm="RS256")
