"""Which process cancels: this one, another worker of the node, or another node on the store.

A cancel request comes on a connection of its own, and a load balancer may give it to any node. Decides where the
session of its key is looked for, in this order: here, among the workers of this node, on all nodes. The answer to the
client is the end of its connection, when the server has processed the request, or two seconds after nodes were asked.

Decides also who may make other nodes look. Under protocol 3.2 a key proves that a node has made it: each key has a
rate of its own. Under 3.0 anybody can send any key: those requests have a rate for each address and one for all, so
that strangers neither keep the nodes busy nor keep out clients of 3.2. A request above its rate waits, and so does
its client, which slows it down. It is dropped where it would wait too long.

INVARIANT: no secret leaves this process but to the workers of its node; other nodes receive a digest.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from pgjit.errors import PgjitError
from pgjit.grants.fleet_key import FleetKey
from pgjit.grants.fleet_store import FleetStore
from pgjit.proxy.cancel_key import SHORT, CancelKeySecret, digest_of, fleet_secret, node_id, node_of, random_secret
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.fleet_message import CancelAsked, CancelDone, read_message, write_message
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.registry import RegisteredSession, Registry
from pgjit.telemetry import Telemetry
from pgwire.messages.startup import CancelRequest

__all__ = ["CancelRouter", "InSiblings"]

InSiblings = Callable[[int, bytes], Awaitable[bool]]
"""Cancels in another worker of this node, by pid and secret. False if none has the session."""

_log = logging.getLogger("pgjit.cancel")
_ATTEMPTS, _ATTEMPT_SECONDS = 2, 1.0
"""A notification is lost while its receiver connects to the store again: it is sent twice."""
_RATE_OF_KEY, _RATE_OF_ADDRESS, _RATE_OF_STRANGERS = 5.0, 10.0, 50.0
_BURST_SECONDS = 2.0
_LONGEST_WAIT = 2.0
"""Seconds. A request that waited longer might stop a later statement of its session than the one it was meant for."""
_RENEW_SECONDS = 60.0
_KNOWN_AFTER = timedelta(minutes=3)
"""A new key is used once every node has renewed its keys since."""
_REMEMBERED = 10_000


class CancelRouter:
    """`siblings`: set where this process is one of several workers of its node."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], datetime],
        telemetry: Telemetry,
        node: str = "",
        worker: int = 0,
        *,
        steady: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.siblings: InSiblings | None = None
        self._registry = registry
        self._clock = clock
        self._telemetry = telemetry
        self._node = node_id(node)
        self._worker = worker
        self._store: FleetStore | None = None  # None: no other node uses it
        self._keys: dict[int, FleetKey] = {}
        self._pause = pause
        self._of_keys: RateLimit[tuple[int, bytes]] = RateLimit(_RATE_OF_KEY, _BURST_SECONDS, steady=steady)
        self._of_addresses: RateLimit[str] = RateLimit(_RATE_OF_ADDRESS, _BURST_SECONDS, steady=steady)
        self._of_strangers: RateLimit[None] = RateLimit(_RATE_OF_STRANGERS, _BURST_SECONDS, steady=steady)
        self._looking: dict[tuple[int, bytes], asyncio.Task[bool]] = {}
        self._asked: dict[str, asyncio.Future[None]] = {}  # by this node
        self._answers: dict[str, asyncio.Task[None]] = {}  # to other nodes, by the id of what they asked
        self._renew = asyncio.Event()

    # --- keys ------------------------------------------------------------------------------------------

    def new_secret(self, minor: int, pid: int) -> bytes:
        """The secret of a new session, of the length that this version of the protocol has."""
        if minor == 0 or self._store is None:
            return random_secret(minor)
        return fleet_secret(self._key, self._node, self._worker, pid)

    @property
    def _key(self) -> FleetKey:
        """The newest that all nodes know."""
        keys = [self._keys[number] for number in sorted(self._keys)]
        known = [key for key in keys if self._clock() - key.made_at > _KNOWN_AFTER]
        return known[-1] if known else keys[0]

    @asynccontextmanager
    async def in_fleet(self, store: FleetStore) -> AsyncIterator[None]:
        """While the block runs, cancel requests are passed on to the other nodes on the store, and taken from them.

        Raises ServerUnavailable.
        """
        if not store.shared:
            yield
            return
        await self._load_keys(store)
        self._store = store
        store.on_message(self._receive)
        renewing = asyncio.create_task(self._keep_renewing(store), name="keys of the fleet")
        try:
            yield
        finally:
            self._store = None
            tasks = [renewing, *self._answers.values(), *self._looking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _load_keys(self, store: FleetStore) -> None:
        self._keys = {key.number: key for key in await store.fleet_keys(self._clock())}

    async def _keep_renewing(self, store: FleetStore) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_SECONDS):
                    await self._renew.wait()
            try:
                await self._load_keys(store)
            except PgjitError as fault:
                _log.debug("the keys of the fleet are not renewed: %s", fault.message)
            await asyncio.sleep(1)  # whoever sends wrong key numbers does not keep the store busy
            self._renew.clear()

    # --- requests of clients ---------------------------------------------------------------------------

    async def cancel(self, request: CancelRequest, client: ClientAddress) -> None:
        """Returns when the server has processed the request, or nobody has such a session, or too many were sent.

        It waits for its rate for two seconds at most, and for the answer of other nodes for two more.
        """
        pid, secret = request.pid, request.secret
        if await self._registry.cancel(pid, secret):
            self._telemetry.cancel("here")
            return
        if self._store is None and self.siblings is None:
            self._telemetry.cancel("unknown")
            return
        made = node_of(self._keys.values(), pid, secret)
        if made is None and len(secret) != SHORT:
            self._telemetry.cancel("unknown")
            return
        looking = self._looking.get((pid, secret))  # many requests with one key are one
        if looking is None:
            if (wait := self._admit(request, client, made)) is None:
                self._telemetry.cancel("limited")
                return
            looking = self._looking[pid, secret] = asyncio.create_task(self._look_elsewhere(pid, secret, made, wait))
            looking.add_done_callback(lambda _: self._looking.pop((pid, secret), None))
        await asyncio.wait({looking})

    def _admit(self, request: CancelRequest, client: ClientAddress, made: CancelKeySecret | None) -> float | None:
        """Seconds until its rate has room for the request, which is counted now; None if that is too long."""
        if made is not None:
            key = (request.pid, request.secret)
            if (wait := self._of_keys.wait(key)) <= _LONGEST_WAIT:
                self._of_keys.use(key, 1)
                return wait
            return None
        wait = max(self._of_addresses.wait(client.network), self._of_strangers.wait(None))
        if wait > _LONGEST_WAIT:
            return None
        self._of_addresses.use(client.network, 1)
        self._of_strangers.use(None, 1)
        return wait

    async def _look_elsewhere(self, pid: int, secret: bytes, made: CancelKeySecret | None, wait: float) -> bool:
        if wait:
            await self._pause(wait)
        if self.siblings is not None and await self.siblings(pid, secret):
            self._telemetry.cancel("worker")
            return True
        found = False
        if self._store is not None and (made is None or made.node != self._node):
            found = await self._ask_fleet(self._store, pid, secret, made)
        self._telemetry.cancel("node" if found else "unknown")
        return found

    async def _ask_fleet(self, store: FleetStore, pid: int, secret: bytes, made: CancelKeySecret | None) -> bool:
        key = self._key
        digest = digest_of(key, pid, secret)
        asked = CancelAsked(secrets.token_hex(16), None if made is None else made.node, pid, digest)
        answer = self._asked[asked.id] = asyncio.get_running_loop().create_future()
        try:
            for _ in range(_ATTEMPTS):
                await store.send_message(write_message(asked, key, self._clock()))
                if (await asyncio.wait({answer}, timeout=_ATTEMPT_SECONDS))[0]:
                    return True
        except PgjitError as fault:
            _log.warning("a cancel request does not reach the other nodes: %s", fault.detail or fault.message)
        finally:
            del self._asked[asked.id]
        return False

    # --- messages of other nodes -----------------------------------------------------------------------

    def _receive(self, text: str) -> None:
        read = read_message(text, self._keys, self._clock())
        if isinstance(read, int):
            self._renew.set()  # the sender tries again
        elif read is not None and self._store is not None:
            message, key = read
            if isinstance(message, CancelDone):
                if (answer := self._asked.get(message.id)) is not None and not answer.done():
                    answer.set_result(None)
            elif message.id not in self._asked and message.node in (None, self._node):
                self._take(self._store, message, key)

    def _take(self, store: FleetStore, asked: CancelAsked, key: FleetKey) -> None:
        before = self._answers.get(asked.id)
        if before is not None and not before.done():
            return
        session = self._session_of(asked, key)
        if session is None and asked.node is None:
            return  # another node may have it
        if before is not None:
            session = None  # the answer was lost, not the request
        self._answers[asked.id] = asyncio.create_task(self._answer(store, asked, session))
        while len(self._answers) > _REMEMBERED:
            self._answers.pop(next(iter(self._answers)))

    def _session_of(self, asked: CancelAsked, key: FleetKey) -> RegisteredSession | None:
        for session in self._registry.of_backend(asked.pid):
            if hmac.compare_digest(digest_of(key, asked.pid, session.cancel_secret), asked.digest):
                return session
        return None

    async def _answer(self, store: FleetStore, asked: CancelAsked, session: RegisteredSession | None) -> None:
        if session is not None:
            await session.cancel()
        with suppress(PgjitError):  # the node that asked gives up after a while
            await store.send_message(write_message(CancelDone(asked.id), self._key, self._clock()))
