"""Who is signed in: from the cookie of a request to an access token that holds.

Decides when a sign-in ends (without use, at its latest end, when the provider renews its tokens no more), and when
its tokens are renewed. Everything that is kept is in the store, so any worker serves, and a sign-out holds everywhere
at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from fastapi import Request

from pgjit.api.refusals import TooManyCalls
from pgjit.console.cookie_secret import CookieSecret, SealBroken
from pgjit.console.cookies import SIGN_IN, cookie
from pgjit.console.provider_login import LoginFlow, ProviderTokens, TokensRefused
from pgjit.console.refusals import NotSignedIn
from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.grants.sign_in import KeptSignIn
from pgjit.grants.sign_in_store import SignInStore
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.rate_limit import RateLimit
from pgjit.single_flight import SingleFlightByKey

__all__ = ["SignIns", "SignedIn"]

_log = logging.getLogger("pgjit.console")
_MOST_OF_PERSON: Final = 20
_NOTE_USE: Final = timedelta(seconds=60)  # a use is noted this often at most
_RENEW_BEFORE: Final = timedelta(minutes=5)  # of the access token's end
_RENEWAL: Final = timedelta(seconds=30)  # that one worker has for it
_LOOKS, _LOOK_SECONDS = 40, 0.25  # while another worker renews the tokens
_REFUSED_RATE, _REFUSED_BURST = 5.0, 10.0  # unknown cookies a second of one address; seconds' worth


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that holds now. `access_token` is for the HTTP API."""

    secret: CookieSecret
    access_token: str = field(repr=False)
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What the store keeps sealed. `access_ends`: when the access token ends."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    access_ends: datetime

    def text(self) -> str:
        return json.dumps({"access": self.access, "refresh": self.refresh, "ends": self.access_ends.isoformat()})

    @classmethod
    def read(cls, text: str) -> _Sealed:
        read = json.loads(text)
        return cls(read["access"], read["refresh"], datetime.fromisoformat(read["ends"]))


class SignIns:
    def __init__(
        self,
        store: SignInStore,
        login: LoginFlow,
        verify: Callable[[str], Awaitable[Identity]],
        clock: Callable[[], datetime],
        *,
        idle: timedelta,
        absolute: timedelta,
    ) -> None:
        """`verify`: the identity of an access token, as the HTTP API's provider reads it."""
        self._store = store
        self._login = login
        self._verify = verify
        self._clock = clock
        self._idle, self._absolute = idle, absolute
        self._refused: RateLimit[str] = RateLimit(_REFUSED_RATE, _REFUSED_BURST)
        self._renewals: SingleFlightByKey[str, _Sealed] = SingleFlightByKey(stopped=NotSignedIn)

    async def begin(self, tokens: ProviderTokens, identity: Identity) -> CookieSecret:
        """A new sign-in, under a new secret. Raises ServerUnavailable."""
        now, secret = self._clock(), CookieSecret.new()
        sealed = _Sealed(tokens.access, tokens.refresh, identity.expires_at)
        kept = KeptSignIn(
            id=secret.id,
            identity=identity.key,
            opened_at=now,
            seen_at=now,
            ends_at=now + self._absolute,
            sealed=secret.seal(sealed.text()),
        )
        await self._store.keep_sign_in(kept, at_most=_MOST_OF_PERSON)
        return secret

    async def find_in(self, request: Request) -> SignedIn:
        """The sign-in of the request's cookie. Raises NotSignedIn, TooManyCalls, ServerUnavailable."""
        given = cookie(request, SIGN_IN)
        if given is None:
            raise NotSignedIn
        try:
            secret = CookieSecret.read(given)
            if secret is None:
                raise NotSignedIn(was=True)
            return await self.find(secret)
        except NotSignedIn:
            # Only unknown cookies count: those of others behind the same address keep nobody out.
            network = _network(request)
            if (seconds := self._refused.wait(network)) > 0:
                raise TooManyCalls(math.ceil(seconds)) from None
            self._refused.use(network, 1)
            raise

    async def find(self, secret: CookieSecret) -> SignedIn:
        """Raises NotSignedIn, ServerUnavailable."""
        kept = await self._kept(secret)
        tokens = self._opened(secret, kept)
        if tokens.access_ends - self._clock() < _RENEW_BEFORE:
            tokens = await self._renewed(secret, kept.identity, tokens)
        return SignedIn(secret, tokens.access, kept.opened_at, kept.seen_at, kept.ends_at)

    async def note_use(self, signed_in: SignedIn) -> None:
        """Somebody opened a page: the time without use begins anew. Raises ServerUnavailable."""
        now = self._clock()
        if now - signed_in.seen_at >= min(_NOTE_USE, self._idle / 10):
            await self._store.note_sign_in_use(signed_in.secret.id, now)

    async def end(self, secret: CookieSecret) -> bool:
        """Sign out; False if nobody was signed in. Raises ServerUnavailable."""
        return await self._store.end_sign_in(secret.id)

    async def close(self) -> None:
        await self._renewals.close()

    async def _kept(self, secret: CookieSecret) -> KeptSignIn:
        kept, now = await self._store.sign_in(secret.id), self._clock()
        if kept is None:
            raise NotSignedIn(was=True)
        # The configured lengths count as they are now: a shorter one ends sign-ins that were begun before.
        latest = min(kept.ends_at, kept.opened_at + self._absolute)
        if now >= latest or now - kept.seen_at >= self._idle:
            await self._store.end_sign_in(secret.id)
            raise NotSignedIn(was=True)
        return kept

    def _opened(self, secret: CookieSecret, kept: KeptSignIn) -> _Sealed:
        try:
            return _Sealed.read(secret.open(kept.sealed))
        except (SealBroken, ValueError, KeyError, TypeError):
            raise NotSignedIn(was=True) from None

    async def _renewed(self, secret: CookieSecret, person: IdentityKey, tokens: _Sealed) -> _Sealed:
        """Tokens that hold for a while yet; those at hand if they hold and the provider is away."""
        try:
            return await self._renewals(secret.id, lambda: self._renew(secret, person, tokens))
        except ServerUnavailable:
            if tokens.access_ends > self._clock():
                return tokens
            raise

    async def _renew(self, secret: CookieSecret, person: IdentityKey, tokens: _Sealed) -> _Sealed:
        """INVARIANT: a sign-in is of one person from its begin to its end, whatever the provider sends."""
        if tokens.refresh is None:
            return await self._as_they_are(secret, tokens)
        now = self._clock()
        if not await self._store.claim_sign_in_renewal(secret.id, now, now + _RENEWAL):
            return await self._renewed_elsewhere(secret, tokens)
        try:
            new = await self._login.renew(tokens.refresh)
            identity = await self._verify(new.access)
            if identity.key != person:
                _log.error("a sign-in was ended: its renewed token is of another identity")
                raise TokensRefused
        except (TokensRefused, TokenRefused):
            await self._store.end_sign_in(secret.id)
            raise NotSignedIn(was=True) from None
        renewed = _Sealed(new.access, new.refresh, identity.expires_at)
        await self._store.replace_sign_in_tokens(secret.id, secret.seal(renewed.text()))
        return renewed

    async def _as_they_are(self, secret: CookieSecret, tokens: _Sealed) -> _Sealed:
        if tokens.access_ends <= self._clock():
            await self._store.end_sign_in(secret.id)
            raise NotSignedIn(was=True)
        return tokens

    async def _renewed_elsewhere(self, secret: CookieSecret, tokens: _Sealed) -> _Sealed:
        """Another worker renews them now. The old ones do while they hold."""
        for _ in range(_LOOKS):
            if tokens.access_ends > self._clock():
                return tokens
            await asyncio.sleep(_LOOK_SECONDS)
            tokens = self._opened(secret, await self._kept(secret))
        raise NotSignedIn(was=True)


def _network(request: Request) -> str:
    """The address of the browser; of IPv6 its /64."""
    client = request.client
    return ClientAddress.of(*(("0.0.0.0", 0) if client is None else client)).network  # noqa: S104 - it stands for none
