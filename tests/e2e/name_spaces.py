"""A server's name spaces beside the relay's: the same conversation straight to a server, and through a relay.

Decides nothing about what is right but this: what is on record of a row is what made it, and what the relay refuses
for its name the server does not know either.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from types import TracebackType

from pgjit.audit.event import Event, Execution, Outcome
from pgjit.judging.judge import Judgement
from pgwire.framing import FrameReader
from pgwire.messages.query import decode_error
from pgwire.messages.startup import encode_startup
from tests.fakes.both_ends import BothEnds

__all__ = ["Exchange", "Place", "Wire", "compare", "constants", "misrecorded"]

_SECONDS = 20  # for one answer
_CONSTANT = re.compile(r"\b[kv]\d+\b")
_UNTOLD = frozenset("SNAKR")  # of the session, not of what was asked
# As the server says it of a name that it does not know, too; 55000 of the portal that has just run CLOSE ALL.
_NAMES = frozenset({"26000", "34000", "54001", "25P02", "55000"})


@dataclass(frozen=True, slots=True)
class Place:
    path: str
    database: str
    encoding: str


class _ServerLeft(Exception):
    """As it does where COMMIT or its like is given by EXECUTE, in a state in which it expects none."""


class _Socket:
    """A session of the administrator, in the encoding that pgjit pins."""

    def __init__(self, place: Place) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(_SECONDS)
        self.socket.connect(place.path)
        settings = {"user": "postgres", "database": place.database, "client_encoding": "UTF8"}
        self.socket.sendall(encode_startup(settings))
        self._rest = b""
        for kind, _ in self.frames():
            if kind == "Z":
                break

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def frames(self) -> Iterator[tuple[str, bytes]]:
        """Messages of the server, each whole with its header; as many as there are wanted."""
        while True:
            while len(self._rest) < 5 or len(self._rest) <= struct.unpack("!I", self._rest[1:5])[0]:
                data = self.socket.recv(1 << 16)
                if not data:
                    raise _ServerLeft
                self._rest += data
            size = 1 + struct.unpack("!I", self._rest[1:5])[0]
            frame, self._rest = self._rest[:size], self._rest[size:]
            yield chr(frame[0]), frame


@dataclass
class Exchange:
    """What a client received, and what is on record about it."""

    heard: list[tuple[str, bytes]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rows: list[tuple[int, bytes]] = field(default_factory=list)  # with the execution that they are counted to
    left: bool = False  # the server ended the session: what it said last may be lost

    def hear(self, kind: str, frame: bytes) -> None:
        if kind == "E":
            self.heard.append((kind, decode_error(frame[5:])["C"].encode()))
        elif kind not in _UNTOLD:
            self.heard.append((kind, frame[5:]))

    @property
    def breaks_server(self) -> bool:
        """A statement would have executed itself, or a SAVEPOINT: the server may be none any more afterwards."""
        found = (each for event in self.executions.values() for each in event.violations)
        return any(each.sqlstate == "54001" or each.rule == "transaction-by-execute" for each in found)

    @property
    def executions(self) -> dict[int, Execution]:
        return {event.number: event for event in self.events if isinstance(event, Execution)}


@contextmanager
def _until_it_leaves(exchange: Exchange) -> Iterator[None]:
    try:
        yield
    except (_ServerLeft, ConnectionResetError, BrokenPipeError):
        exchange.left = True


class Wire:
    """A relay between a client that is played and a server that is not."""

    def __init__(self, place: Place, judge: Callable[[bytes], Judgement], *, unrestricted: bool) -> None:
        self._place = place
        self._judge = judge
        self._unrestricted = unrestricted

    def direct(self, messages: list[bytes]) -> Exchange:
        exchange = Exchange()
        with _Socket(self._place) as session, _until_it_leaves(exchange):
            session.socket.sendall(b"".join(messages))
            for kind, frame in session.frames():
                exchange.hear(kind, frame)
                if kind == "Z" and any(each[1].endswith(b"end") for each in exchange.heard[-3:]):
                    break
        return exchange

    def through(self, messages: list[bytes]) -> Exchange:
        exchange = Exchange()
        ends = BothEnds(judge=self._judge, unrestricted=self._unrestricted, encoding=self._place.encoding)
        reader = FrameReader(lambda _: 100_000, data=b"d", cut=b"QPBF")
        with _Socket(self._place) as session, _until_it_leaves(exchange):
            incoming = session.frames()
            for message in messages:
                left = reader.feed(message)
                while left:
                    plan = ends.frames(left)
                    assert plan.fault is None, plan.fault
                    exchange.events += plan.events
                    session.socket.sendall(plan.data)
                    left = list(plan.rest)
                    if left:
                        self._answer(session, ends, next(incoming), exchange)
            while ends.state.queue.requests:
                self._answer(session, ends, next(incoming), exchange)
        return exchange

    def _answer(self, session: _Socket, ends: BothEnds, frame: tuple[str, bytes], exchange: Exchange) -> None:
        kind, raw = frame
        head = ends.state.queue.head
        run = None if head is None else head.current
        if kind in "Dd" and run is not None:
            exchange.rows.append((run.number, raw[5:]))
        step = ends.server(raw)
        assert step.fault is None, step.fault
        exchange.events += step.events
        session.socket.sendall(step.to_server)
        for piece in filter(None, step.data):
            exchange.hear(chr(piece[0]), piece)


def constants(raw: bytes) -> set[str]:
    return set(_CONSTANT.findall(raw.decode("utf-8", "replace")))


def misrecorded(exchange: Exchange, kept: list[str]) -> list[str]:
    """Rows, and what was `kept` of rows that were written, that are not on record as what made them."""
    executions = exchange.executions
    done = {e.number for e in exchange.events if isinstance(e, Outcome) and e.ended in ("completed", "suspended")}
    found = []
    for run, raw in exchange.rows:
        event = executions[run]
        values = event.parameters.values if event.parameters else ()
        on_record = constants(event.statement.encode()) | {value.decode() for value in values if value is not None}
        if event.unresolved is None and not constants(raw) <= on_record:
            found.append(f"{raw!r} is on record as {event.statement!r}, {event.parameters}, by {event.through}")
    certain = not exchange.left and all(event.unresolved is None for event in executions.values())
    written = {
        constant
        for run, event in executions.items()
        if run in done and "INSERT" in event.statement
        for constant in constants(event.statement.encode())
    }
    if certain and not set(kept) <= written:
        found.append(f"{sorted(set(kept) - written)} were written, and nothing on record says so")
    return found


def compare(direct: Exchange, through: Exchange) -> list[str]:
    """Where who goes through the relay gets something else, without reason."""
    refused_ids = {e.number for e in through.events if isinstance(e, Outcome) and e.ended == "refused"}
    denied = [event for run, event in through.executions.items() if run in refused_ids]
    if direct.left or through.left:
        return []
    if not denied:
        if direct.heard == through.heard:
            return []
        at = next(i for i, (a, b) in enumerate(zip_longest(direct.heard, through.heard)) if a != b)
        return [f"differs at {at}: {direct.heard[at : at + 3]} direct, {through.heard[at : at + 3]} through"]
    first = denied[0].violations[0]
    doubt = "may be" in first.message or "may have been" in first.message or "inside EXPLAIN" in first.message
    # EXPLAIN of an EXECUTE that stands for a FETCH: pgjit looks for its cursor, the server explains nothing.
    doubt = doubt or (denied[0].statement.startswith("EXPLAIN") and first.message.startswith("cursor "))
    syntax = first.rule == "syntax-error"
    refused = first.sqlstate.encode()
    if doubt or syntax or first.rule == "refused-with-message":
        return []
    states = {refused, *(state.encode() for state in _NAMES)}
    known = any(kind == "E" and body in states for kind, body in direct.heard)
    return [] if known else [f"refused without reason: {denied[0].statement!r}, {first.message}"]
