"""A login that has come as far as the proof of its secret, and waits there.

The server has given it a slot and has looked the secret up: it can be completed although all slots were taken since,
and although the secret was changed. Until then it is nobody's session, which only a superuser can terminate. It is
good for as long as the server's `authentication_timeout`.
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
        self._waits = asyncio.Event()  # it has come that far
        self._wanted = asyncio.Event()
        self._login = asyncio.create_task(connect_upstream(target, address, settings, before_proof=self._pause))

    async def prepared(self) -> bool:
        """Whether it waits now. A server that asks for no secret has nothing to wait for."""
        waits = asyncio.create_task(self._waits.wait())
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                await asyncio.wait({self._login, waits}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return False
        finally:
            waits.cancel()
        return not self._login.done()

    async def redeem(self) -> Upstream:
        """Complete it. Raises LoginFailed."""
        self._wanted.set()
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                return await self._login
        except TimeoutError:
            raise LoginAttempt(str(self._address), "logging in").failed(
                "no answer to a login that was kept"
            ) from None

    async def drop(self) -> None:
        self._login.cancel()
        (outcome,) = await asyncio.gather(self._login, return_exceptions=True)
        if isinstance(outcome, Upstream):
            await outcome.leave()

    async def _pause(self) -> None:
        self._waits.set()
        await self._wanted.wait()
