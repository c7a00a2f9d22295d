"""The whole proxy between a scripted client and a scripted server: real listener, sessions, windows, journal.

The server plays a script for each session, and answers control queries and cancel requests by itself.
`WholeProxy.over` waits until nothing remains, and checks in the journal what holds for every session, however it
ended.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.demo.certificates import Certificates
from pgjit.grants.requests import Requests
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.identity import GroupId, Identity
from pgjit.policy.load import Policies
from pgjit.policy.policy import Preset
from pgjit.proxy.listener import Listener
from pgjit.proxy.registry import Registry
from pgjit.proxy.services import ProxyLimits, Services
from pgjit.proxy.session import Session
from pgjit.proxy.window.windows import Windows
from pgjit.server.servers import Servers
from pgjit.telemetry import Telemetry
from pgwire.messages.query import decode_error
from pgwire.messages.startup import CancelRequest, StartupMessage
from pgwire.reader import message
from tests.audit.schema_check import assert_valid
from tests.fakes.control_answers import answer_control
from tests.fakes.door import GOOD, OneTokenProvider
from tests.fakes.policies import policy
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient, trusting
from tests.fakes.scripted_server import OK, READY, Peer, ScriptedServer, Step, fatal, status
from tests.fakes.targets import target_at
from tests.fakes.thread_worker import ThreadWorker
from tests.run.journal_text import journal_lines
from tests.run.waiting import until

__all__ = ["SETTINGS", "STARTUP", "PlayedServer", "WholeProxy", "errors", "kinds", "welcome"]

SETTINGS = {
    "server_version": "18.1",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "default_transaction_read_only": "on",
    "session_authorization": "ann",
    "is_superuser": "off",
    "TimeZone": "UTC",
}
STARTUP = {"user": "jit-schema-checks", "database": "shop"}
_SECRET = 0x5EC4E7


def welcome(pid: int) -> bytes:
    reported = b"".join([status(name, value) for name, value in SETTINGS.items()])
    return OK + reported + message(b"K", struct.pack("!ii", pid, _SECRET)) + READY


def kinds(heard: Sequence[ReceivedFrame]) -> str:
    return "".join([kind for kind, _ in heard])


def errors(heard: Sequence[ReceivedFrame]) -> list[tuple[str, str]]:
    """(severity, SQLSTATE) of each error that the client received."""
    responses = [decode_error(body) for kind, body in heard if kind == "E"]
    return [(fields["V"], fields.get("C", "")) for fields in responses]


class PlayedServer(ScriptedServer):
    """`sessions` has the connections of sessions in order. Each plays `login`, if given, and then `steps`."""

    def __init__(self, steps: Sequence[Step], login: Sequence[Step] | None = None) -> None:
        super().__init__([self._one])
        self.sessions: dict[int, Peer] = {}  # by pid
        self.controls: list[Peer] = []
        self.cancels = 0
        self.refuses_control: bytes | None = None  # a control connection receives this instead of a welcome
        self.termination_error = fatal("57P01", "terminating connection due to administrator command")
        self._steps = steps
        self._login = login

    async def _one(self, peer: Peer) -> None:
        first = await peer.first_message()
        if isinstance(first, CancelRequest):
            self.cancels += 1
            if (target := self.sessions.get(first.pid)) is not None:
                target.cancelled.set()
            return
        assert isinstance(first, StartupMessage)
        peer.startup = first
        if first.parameters["application_name"] == "pgjit control":
            await self._control(peer)
            return
        pid = 4200 + len(self.sessions)
        self.sessions[pid] = peer
        if self._login is None:
            await peer.write(welcome(pid))
        for step in (*(self._login or ()), *self._steps):
            await step(peer)

    async def _control(self, peer: Peer) -> None:
        self.controls.append(peer)
        if self.refuses_control is not None:
            await peer.write(self.refuses_control)
            return
        await peer.write(welcome(1))
        while (await peer.frame()).kind == ord("Q"):
            await peer.write(self._answer(peer.last.body.decode()))

    def _answer(self, query: str) -> bytes:
        return answer_control(query, present=self._has, terminate=self._terminate, cancel=self._cancel)

    def _has(self, pid: int) -> bool:
        return not _is_gone(self.sessions[pid])

    def _cancel(self, pid: int) -> None:
        self.sessions[pid].cancelled.set()

    def _terminate(self, pid: int) -> None:
        target = self.sessions[pid]
        target.writer.write(self.termination_error)
        target.writer.close()


def _is_gone(peer: Peer) -> bool:
    return peer.left.is_set() or peer.writer.is_closing()


class _Member(OneTokenProvider):
    async def verify(self, token: str, now: datetime) -> Identity:
        return replace(await super().verify(token, now), groups=frozenset({GroupId("g1")}))


class WholeProxy:
    """`async with WholeProxy(folder, certificates, steps) as proxy:`"""

    def __init__(
        self,
        folder: Path,
        certificates: Certificates,
        steps: Sequence[Step],
        *,
        login: Sequence[Step] | None = None,
        preset: Preset = Preset.READ_ONLY,
        limits: ProxyLimits | None = None,
        sink: Callable[[Path], SegmentSink] = SegmentSink,
        **target: Any,
    ) -> None:
        self._folder, self._certificates = folder, certificates
        self.server = PlayedServer(steps, login)
        self._preset = preset
        self._limits = limits or ProxyLimits(sessions_per_identity=1_000, connections_per_address=1_000)
        self._path = folder / "journal"
        self.sink = sink(self._path)
        self._target = target
        self._stack = AsyncExitStack()
        self._clock_offset = timedelta()

    @property
    def session(self) -> Session:
        """The only live session."""
        [session] = self.services.registry
        assert isinstance(session, Session)
        return session

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        stack = self._stack
        await stack.enter_async_context(self.server)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificates.certificate, self._certificates.key)
        self.trust = trusting(self._certificates.authority)
        clock = Clock(wall=lambda: datetime.now(UTC) + self._clock_offset)
        store = SqlStore(SqliteDatabase(self._folder / "windows.sqlite3"))
        await store.open()
        stack.push_async_callback(store.close)
        journal = Journal.open(self.sink, interval=3600)
        stack.push_async_callback(journal.close)
        telemetry = Telemetry(version="0")
        registry = Registry()
        self.windows = Windows(store, journal, registry, clock)
        stack.push_async_callback(self.windows.close)
        target = target_at(self.server, **self._target)
        self.servers = servers = Servers(target)
        stack.push_async_callback(servers.close)
        self.services = Services(
            provider=_Member(),
            policies=Policies([policy(preset=self._preset)]),
            targets={"shop": target},
            servers={"shop": servers},
            windows=self.windows,
            requests=Requests(store, clock, lambda _: None),
            registry=registry,
            journal=journal,
            flush_before_forward=False,
            clock=clock,
            limits=self._limits,
            new_worker=ThreadWorker,
            telemetry=telemetry,
        )
        self.listener = Listener(self.services, context)
        await self.listener.open("127.0.0.1", 0)
        stack.push_async_callback(self.listener.drain, 0)
        await asyncio.sleep(0)  # it accepts now
        self._tasks = asyncio.all_tasks()

    # --- clients and events ----------------------------------------------------------------------------

    async def dial(self) -> ScriptedClient:
        """A client inside TLS that has sent nothing yet. The caller closes it."""
        client = await ScriptedClient.open(self.listener.ports[0])
        await client.start_tls(self.trust)
        return client

    async def client(self) -> ScriptedClient:
        """A client that is logged in."""
        client = await self.dial()
        await client.log_in(STARTUP, GOOD)
        return client

    def end_window(self) -> None:
        """Set the clock past the end of every window."""
        self._clock_offset += timedelta(hours=2)

    async def lose_controls(self) -> None:
        """Cut both control connections of an open session at once."""
        async with asyncio.timeout(60):
            await until(lambda: len(self.server.controls) >= 2)
        lost = list(self.server.controls)
        for control in lost:
            control.writer.transport.abort()
        for control in lost:
            await control.left.wait()

    # --- checks at the end -----------------------------------------------------------------------------

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All, or those of one type. Each has the published shape. Outcomes that wait are written first."""
        self.services.journal.write_enqueued()
        lines = [json.loads(line) for line in journal_lines(self._path)]
        found = [line for line in lines if kind is None or line["type"] == kind]
        for each in found:
            assert_valid(each)
        return found

    @property
    def outcomes(self) -> list[str]:
        """How each execution ended, in the order of the executions."""
        ended = {record["execution"]: record["ended"] for record in self.records("outcome")}
        return [ended[record["execution"]] for record in self.records("execution")]

    @property
    def session_ended(self) -> dict[str, Any]:
        [ended] = self.records("session.ended")
        return ended

    async def over(self) -> None:
        """Return when all connections have ended; check that nothing remains in the process and in the journal."""
        async with asyncio.timeout(60):
            await until(lambda: not self.listener.connections)
            for peer in self.server.sessions.values():
                await peer.left.wait()
        assert len(self.services.registry) == 0
        assert len(self.services.identity_quota) == 0
        await asyncio.sleep(0)  # the task of the last connection ends in this iteration of the loop
        assert not self.left_over(), "a task remains"
        self._check_journal()

    def left_over(self) -> set[asyncio.Task[Any]]:
        """Tasks of sessions: all but those of the proxy itself and of open windows."""
        expected = self._tasks | self.server._tasks | {end.task for end in self.windows._ends.values()}
        for control in self.servers._controls.values():
            expected.update(control.tasks)
        return {task for task in asyncio.all_tasks() - expected if task is not asyncio.current_task()}

    def _check_journal(self) -> None:
        executions = Counter(record["execution"] for record in self.records("execution"))
        outcomes = Counter(record["execution"] for record in self.records("outcome"))
        assert executions == outcomes, "every execution has one outcome"
        assert set(executions.values()) <= {1}
        opened = Counter(record["session"] for record in self.records("session.opened"))
        ended = Counter(record["session"] for record in self.records("session.ended"))
        assert opened == ended, "every session has one end"
        for record in self.records("session.ended"):
            assert record["proof"] is None or record["proof"]["gone"], record
