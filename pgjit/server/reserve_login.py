"""A login in reserve: it is paused right before the proof of its password.

The server has already given it a connection slot and has looked up the password verifier. So it can be completed even
if all slots are taken by then, or the password was changed. A paused login belongs to no role: only a superuser can
terminate it. It lasts for the server's `authentication_timeout`.
"""

from __future__ import annotations

import asyncio

from pgjit.server.dial import Address
from pgjit.server.login_error import LoginAttempt
from pgjit.server.target import Target
from pgjit.server.upstream import Upstream, connect_upstream

__all__ = ["ReserveLogin"]


class ReserveLogin:
    def __init__(self, target: Target, address: Address, settings: dict[str, str]) -> None:
        self.since = asyncio.get_running_loop().time()
        self._target = target
        self._address = address
        self._paused = asyncio.Event()
        self._resumed = asyncio.Event()
        self._login = asyncio.create_task(connect_upstream(target, address, settings, before_proof=self._pause))

    async def wait_until_paused(self) -> bool:
        """False if the login failed, or completed because the server requests no password."""
        paused = asyncio.create_task(self._paused.wait())
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                await asyncio.wait({self._login, paused}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return False
        finally:
            paused.cancel()
        return not self._login.done()

    async def complete(self) -> Upstream:
        """Send the proof and return the connection. Raises LoginFailed."""
        self._resumed.set()
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                return await self._login
        except TimeoutError:
            raise LoginAttempt(str(self._address), "logging in").failed(
                "no answer to a login that was kept in reserve"
            ) from None

    async def discard(self) -> None:
        self._login.cancel()
        (outcome,) = await asyncio.gather(self._login, return_exceptions=True)
        if isinstance(outcome, Upstream):
            await outcome.leave()

    async def _pause(self) -> None:
        self._paused.set()
        await self._resumed.wait()
