"""Everything that a call passes before any endpoint sees it: a token, the rates, the size of its body.

Decides in which order a call is refused, and which headers every response has. Knows no endpoint.

INVARIANT: no endpoint runs for a caller without an accepted token; unknown paths are refused by 401 as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgjit.api.caller import Caller, RoleTable
from pgjit.api.caller_groups import CallerGroups
from pgjit.api.connection_places import Place
from pgjit.api.refusals import (
    AuditPreparing,
    BearerRefused,
    CallRefused,
    InvalidCall,
    TooManyCalls,
    TooManyRefusedCalls,
)
from pgjit.api.strict_transport import STRICT_TRANSPORT, is_kept_for
from pgjit.errors import PgjitError, TokenRefused
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import Identity
from pgjit.identity.provider import Provider
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.rate_limit import RateLimit

__all__ = ["CallerAdmission", "Gate", "connection_of", "internal_error", "problem_of", "read_body"]

_log = logging.getLogger("pgjit.api")
_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 10.0
_ADDRESS_RATE, _ADDRESS_BURST = 20.0, 10.0  # refused tokens a second of one address; seconds' worth
_BURST = 30.0
_CLOSING = (401, 408, 413, 429)
"""After these the connection is closed: each further call costs its sender a TLS handshake."""
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
_STRICT: Final = tuple(each.encode() for each in STRICT_TRANSPORT)


class RefusedCalls(Protocol):
    """Records a call whose token was not accepted."""

    def note_unauthenticated(
        self,
        client: ClientAddress,
        reference: str,
        sqlstate: str,
        reason: str,
        *,
        identity: Identity | None = None,
    ) -> None: ...


def problem_of(error: PgjitError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers of an error (RFC 9457)."""
    problem = {**error.problem(), "reference": error.reference}
    status = problem["status"]
    assert isinstance(status, int)
    headers = [(b"content-type", b"application/problem+json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="pgjit", error="invalid_token"'))
    if isinstance(error, TooManyCalls | AuditPreparing):
        headers.append((b"retry-after", str(error.seconds).encode()))
    if status in _CLOSING:
        headers.append((b"connection", b"close"))
    return status, json.dumps(problem).encode(), headers


class CallerAdmission:
    """From a token to a Caller."""

    def __init__(
        self,
        *,
        provider: Provider,
        groups: CallerGroups,
        roles: RoleTable,
        refused: RefusedCalls,
        clock: Callable[[], datetime],
        per_minute: int,
    ) -> None:
        self._provider = provider
        self._groups = groups
        self._roles = roles
        self._refused = refused
        self._clock = clock
        self._rate: RateLimit[HolderKey] = RateLimit(per_minute / 60, _BURST)
        self._addresses: RateLimit[str] = RateLimit(_ADDRESS_RATE, _ADDRESS_BURST)

    async def caller(self, scope: Scope) -> Caller:
        """The caller of this request. Raises PgjitError."""
        client = ClientAddress.of(*(scope.get("client") or ("0.0.0.0", 0)))  # noqa: S104 - it stands for none
        try:
            token = _bearer(scope)
            return await self.of_token(token, client.source, fresh=scope["method"] not in ("GET", "HEAD"))
        except BearerRefused:
            # Only refused tokens count: those of others behind the same address do not keep a caller out.
            _spend(self._addresses, client.network, error=TooManyRefusedCalls)
            raise

    async def of_token(self, token: str, source: str, *, fresh: bool, counted: bool = True) -> Caller:
        """`fresh`: the groups are looked up by a query that begins now. `counted`: towards the caller's rate."""
        identity = None
        try:
            identity = await self._provider.verify(token, self._clock())
            if counted:
                _spend(self._rate, HolderKey.of(identity))
            resolved, checked_at = await self._groups.resolve(identity, fresh=fresh)
        except TokenRefused as refused:
            host, _, port = source.rpartition(":")
            client = ClientAddress.of(host, int(port))
            self._refused.note_unauthenticated(
                client, refused.reason, refused.sqlstate, refused.explanation, identity=identity
            )
            raise BearerRefused from None
        roles = self._roles.roles_of(resolved)
        return Caller(identity=resolved, roles=roles, source=source, checked_at=checked_at)


class Gate:
    """An ASGI application around the endpoints. They find `caller`, `body` and `token` in the request's state."""

    def __init__(self, endpoints: ASGIApp, admission: CallerAdmission) -> None:
        self._endpoints = endpoints
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = _Response(send, scope)
        try:
            caller = await self._admission.caller(scope)
            if (connection := connection_of(scope)) is not None:
                connection.accepted = True
            body = await read_body(scope, receive)
            scope.setdefault("state", {}).update(caller=caller, body=body, token=_bearer(scope))
            await self._endpoints(scope, _replayed(body, receive), response.send)
        except TooManyRefusedCalls as error:
            if (connection := connection_of(scope)) is None:
                await response.problem(error)
                return
            connection.end()
            while (await receive())["type"] != "http.disconnect":
                continue
        except PgjitError as error:
            await response.problem(error)
        except Exception:  # noqa: BLE001 - whatever fails, the caller reads no trace of it
            _log.exception("a call failed: %s", scope["method"])
            await response.problem(internal_error())


class _Response:
    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._started = False
        self._added = [*_HEADERS, _STRICT] if is_kept_for(_host(scope)) else _HEADERS

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            message = {**message, "headers": [*message.get("headers", ()), *self._added]}
        await self._send(message)

    async def problem(self, error: PgjitError) -> None:
        if self._started:
            return
        status, body, headers = problem_of(error)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def internal_error() -> CallRefused:
    return CallRefused(
        "call failed",
        reference="internal-error",
        status=500,
        hint="The log of this proxy has the reason. Read the state again before you repeat a change.",
    )


def connection_of(scope: Scope) -> Place | None:
    """The place of the connection; None where no server of pgjit serves this call."""
    place = scope.get("state", {}).get("connection")
    return place if isinstance(place, Place) else None


def _host(scope: Scope) -> str:
    """The header `Host`; empty if the request has none, or several."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _bearer(scope: Scope) -> str:
    """The token of the request. Two headers, or another scheme, are no token."""
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = (headers[0] if len(headers) == 1 else b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise BearerRefused
    return str(token.strip(), "ascii", "replace")


def _spend(limit: RateLimit[Any], key: object, *, error: type[TooManyCalls] = TooManyCalls) -> None:
    if (seconds := limit.wait(key)) > 0:
        raise error(math.ceil(seconds))
    limit.use(key, 1)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, before anything is decided by it. Raises InvalidCall for one that is too large or too slow."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    too_large = InvalidCall(f"The body is larger than {_BODY_BYTES} bytes.", reference="body-too-large", status=413)
    if declared.isdigit() and int(declared[:20]) > _BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > _BODY_BYTES:
                    raise too_large
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise InvalidCall("The body did not arrive in time.", reference="body-too-slow", status=408) from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The endpoints read the body that was read already, then what the connection brings."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
