"""A logged-in connection to the real server, with a credential that the agent never sees; and the cancel request.

Decides the steps for one address: get the credential, dial, log in; and retry once with a renewed secret if the
server refused a cached one. `servers.py` chooses the address.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pgjit.server.credential import CredentialUnavailable
from pgjit.server.dial import Address, dial
from pgjit.server.link import Link
from pgjit.server.login import BeforeProof, LoggedIn, log_in
from pgjit.server.login_error import LoginAttempt, LoginFailed
from pgjit.server.target import Target
from pgwire.messages.query import terminate
from pgwire.messages.startup import encode_cancel

__all__ = ["Upstream", "cancel_running", "connect_upstream"]

_SECRET_REFUSED = {"28000", "28P01"}
SECRET_SECONDS = 15.0
"""Time limit for fetching the secret."""


@dataclass(slots=True)
class Upstream:
    """A logged-in, idle connection, with the server's reports from the login."""

    link: Link
    target: Target
    address: Address  # a cancel request goes to the same address
    backend_pid: int
    secret: bytes
    parameters: dict[str, str]
    greeting: bytes  # ParameterStatus and NoticeResponse messages, for the client

    @property
    def server_version(self) -> str:
        return self.parameters.get("server_version", "unknown")

    async def leave(self) -> None:
        self.link.write(terminate())
        await self.link.close()


async def connect_upstream(
    target: Target, address: Address, settings: dict[str, str], *, before_proof: BeforeProof | None = None
) -> Upstream:
    """Connect and log in within the target's `connect_timeout`. Raises LoginFailed, which names the failed step.

    With `before_proof` there is no time limit, since that may wait.
    """
    attempt = LoginAttempt(str(address))
    secret = await _secret(target, attempt)
    if before_proof is not None:
        return await _log_in(target, address, secret, settings, attempt, before_proof)
    try:
        return await _log_in_within_timeout(target, address, secret, settings, attempt)
    except LoginFailed as failed:
        if failed.sqlstate not in _SECRET_REFUSED or target.credential is None:
            raise
        target.credential.refused()
        renewed = await _secret(target, attempt)
        if renewed == secret:
            raise
    return await _log_in_within_timeout(target, address, renewed, settings, attempt)


async def _secret(target: Target, attempt: LoginAttempt) -> str | None:
    attempt.step = "getting the password"
    if target.credential is None:
        return None
    try:
        async with asyncio.timeout(SECRET_SECONDS):
            return await target.credential.secret()
    except TimeoutError:
        raise attempt.failed(f"its source gave none within {SECRET_SECONDS:g} s") from None
    except CredentialUnavailable as fault:
        raise attempt.failed(str(fault)) from None


async def _log_in_within_timeout(
    target: Target, address: Address, secret: str | None, settings: dict[str, str], attempt: LoginAttempt
) -> Upstream:
    try:
        async with asyncio.timeout(target.connect_timeout):
            return await _log_in(target, address, secret, settings, attempt)
    except TimeoutError:
        raise attempt.failed(f"no answer within {target.connect_timeout:g} s", try_next=True) from None


async def _log_in(
    target: Target,
    address: Address,
    secret: str | None,
    settings: dict[str, str],
    attempt: LoginAttempt,
    before_proof: BeforeProof | None = None,
) -> Upstream:
    link = await dial(target, address, attempt)
    try:
        login: LoggedIn = await log_in(link, target, secret, settings, attempt, before_proof)
    except BaseException:
        link.abort()
        raise
    return Upstream(link, target, address, login.backend_pid, login.secret, login.parameters, login.greeting)


async def cancel_running(upstream: Upstream, deadline: float) -> bool:
    """Send a CancelRequest and wait until the server closes that connection: it has processed the request then.

    The request does nothing if no statement is running. False if the server did not process it within `deadline`
    seconds.
    """
    try:
        async with asyncio.timeout(deadline):
            link = await dial(upstream.target, upstream.address, LoginAttempt(str(upstream.address)))
            try:
                link.write(encode_cancel(upstream.backend_pid, upstream.secret))
                while await link.receive():
                    pass
            finally:
                link.abort()
    except (TimeoutError, OSError, LoginFailed):
        return False
    return True
