"""Where the login secret comes from, and how long it is believed.

Decides when a source is asked again. Does not know what the secret is used for. No secret is ever in a `repr`, a
log or an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pgjit.single_flight import SingleFlight

__all__ = ["CredentialUnavailable", "FetchedSecret", "FixedSecret", "FromFile", "LoginCredential", "RenewedSecret"]

LEAST_SECONDS = 5.0
"""A source is not asked again sooner than this because a server refused what it gave: a login that fails at
every try must not become a storm on a vault."""


class CredentialUnavailable(Exception):
    """The source gave no secret; the text says why, for the operators."""


class LoginCredential(Protocol):
    async def secret(self) -> str:
        """The secret to log in with now. Raises CredentialUnavailable."""
        ...

    def refused(self) -> None:
        """The server did not take it: the next `secret` may be another one."""
        ...


@dataclass(frozen=True, slots=True)
class FixedSecret:
    """Known since the start: from the environment."""

    value: str = field(repr=False)

    async def secret(self) -> str:
        return self.value

    def refused(self) -> None:
        """There is no other."""


@dataclass(frozen=True, slots=True)
class FromFile:
    """Read at every login, so that a secret is rotated by writing the file. One newline at its end is left out."""

    path: Path

    async def secret(self) -> str:
        # A mounted secret may be on a slow file system.
        return await asyncio.to_thread(self.read)

    def refused(self) -> None:
        """Nothing is remembered."""

    def read(self) -> str:
        """Raises CredentialUnavailable."""
        try:
            value = self.path.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as fault:
            raise CredentialUnavailable(f"file `{self.path}` cannot be read: {fault.strerror}") from None
        except UnicodeDecodeError:
            raise CredentialUnavailable(f"file `{self.path}` is not text") from None
        return usable(value, f"file `{self.path}`")


def usable(value: str, source: str) -> str:
    """`value`, if a server could be given it. Raises CredentialUnavailable, without showing it."""
    if not value:
        raise CredentialUnavailable(f"{source} is empty")
    if "\0" in value:
        raise CredentialUnavailable(f"{source} holds a zero byte")
    return value


@dataclass(frozen=True, slots=True)
class FetchedSecret:
    """A secret as its source gave it, and for how many seconds it may be used without asking again."""

    value: str = field(repr=False)
    seconds: float


class RenewedSecret:
    """Asked for when it is needed, then kept for as long as its source says; fetched once for all who wait."""

    def __init__(
        self, fetch: Callable[[], Coroutine[Any, Any, FetchedSecret]], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = SingleFlight(fetch, stopped=lambda: CredentialUnavailable("pgjit is stopping"))
        self._now = now
        self._fresh: FetchedSecret | None = None
        self._fetched = 0.0

    async def secret(self) -> str:
        fresh = self._fresh
        if fresh is None or self._now() >= self._fetched + fresh.seconds:
            fresh = await self._fetch()
            self._fresh, self._fetched = fresh, self._now()
        return fresh.value

    def refused(self) -> None:
        if self._now() >= self._fetched + LEAST_SECONDS:
            self._fresh = None
