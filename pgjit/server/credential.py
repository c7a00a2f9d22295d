"""The source of a login secret, and how long a secret is cached.

Decides when a secret is fetched again. Does not know what the secret is used for. A secret never appears in a `repr`,
a log or an error.
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

MIN_REFETCH_SECONDS = 5.0
"""Least time between two fetches caused by a refused login: a login that always fails must not flood a vault."""


class CredentialUnavailable(Exception):
    """The source gave no secret. The text gives the reason, for the operators."""


class LoginCredential(Protocol):
    async def secret(self) -> str:
        """The secret for a login now. Raises CredentialUnavailable."""
        ...

    def refused(self) -> None:
        """The server refused the secret: the next `secret` call may return another one."""
        ...


@dataclass(frozen=True, slots=True)
class FixedSecret:
    """A secret from the environment, read at start."""

    value: str = field(repr=False)

    async def secret(self) -> str:
        return self.value

    def refused(self) -> None:
        """There is no other secret."""


@dataclass(frozen=True, slots=True)
class FromFile:
    """A file that is read at every login: writing it rotates the secret. One newline at its end is removed."""

    path: Path

    async def secret(self) -> str:
        # A mounted secret may be on a slow file system.
        return await asyncio.to_thread(self.read)

    def refused(self) -> None:
        """Nothing is cached."""

    def read(self) -> str:
        """Raises CredentialUnavailable."""
        try:
            value = self.path.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as fault:
            raise CredentialUnavailable(f"file `{self.path}` cannot be read: {fault.strerror}") from None
        except UnicodeDecodeError:
            raise CredentialUnavailable(f"file `{self.path}` is not text") from None
        return check_secret(value, f"file `{self.path}`")


def check_secret(value: str, source: str) -> str:
    """`value`, if it can be a password. Raises CredentialUnavailable, without the value in the text."""
    if not value:
        raise CredentialUnavailable(f"{source} is empty")
    if "\0" in value:
        raise CredentialUnavailable(f"{source} holds a zero byte")
    return value


@dataclass(frozen=True, slots=True)
class FetchedSecret:
    """A secret, and for how many seconds it may be cached."""

    value: str = field(repr=False)
    seconds: float


class RenewedSecret:
    """A secret that is fetched on demand and cached as long as its source allows. Concurrent logins share a fetch."""

    def __init__(
        self, fetch: Callable[[], Coroutine[Any, Any, FetchedSecret]], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = SingleFlight(fetch, stopped=lambda: CredentialUnavailable("pgjit is stopping"))
        self._now = now
        self._cached: FetchedSecret | None = None
        self._fetched_at = 0.0

    async def secret(self) -> str:
        cached = self._cached
        if cached is None or self._now() >= self._fetched_at + cached.seconds:
            cached = await self._fetch()
            self._cached, self._fetched_at = cached, self._now()
        return cached.value

    def refused(self) -> None:
        if self._now() >= self._fetched_at + MIN_REFETCH_SECONDS:
            self._cached = None
