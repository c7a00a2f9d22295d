"""The pure core of a session in one object: what a transaction costs without sockets, event loop and disk.

Framing, the client's side, a judge with a catalog and its cache, the server's side, and the records as lines. The
conversations are fixed, so that two versions of pgjit can be held against each other.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

from pgjit.audit.record import render
from pgjit.judging.judge import Judge
from pgjit.policy.policy import Policy
from pgjit.proxy.relay.batch import next_batch
from pgjit.proxy.relay.client_side import ClientSide
from pgjit.proxy.relay.exchange import END_OF_EXCHANGE
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_side import ServerSide
from pgjit.proxy.relay.show_pgjit import SessionFacts
from pgjit.sql.catalog import Catalog
from pgwire.framing import FrameReader
from pgwire.messages.extended import sync
from tests.fakes.both_ends import CONTEXT, NANOSECONDS, answer, bind, describe, execute, parse, query
from tests.fakes.policies import policy

__all__ = ["CONVERSATIONS", "Core"]

_CATALOG = Path(__file__).parents[2] / "policies" / "shop.catalog.json"
_TEXT = "SELECT status FROM orders WHERE id = $1"
_LITERAL = "SELECT status FROM orders WHERE id = %d"
_NAME = "SELECT status AS s%d FROM orders WHERE id = 7"
_ROW = answer("D", struct.pack("!hI", 1, 5) + b"paid!")
_FIELDS = answer("T", struct.pack("!h", 1) + b"status\0" + struct.pack("!IhIhih", 16500, 2, 1700, -1, -1, 0))
_DONE = answer("C", b"SELECT 1\0") + answer("Z", b"I")
_MILLISECOND = 1_000_000


class Core:
    """One session. `turn` is what one transaction sends and receives."""

    def __init__(self, terms: Policy | None = None) -> None:
        judged = terms or policy()
        self.judge = Judge(judged, limit=100_000, catalog=Catalog.from_json(_CATALOG.read_bytes()))
        ends_at = CONTEXT.window.ends_at
        self._state = RelayState(CONTEXT, ends_at=ends_at, new_token=lambda: b"pgjit_deny_0")
        facts = SessionFacts(context=CONTEXT, ends_at=ends_at, policy=judged, budget=self._state.budget)
        self._client = ClientSide(
            self._state, self.judge.judge_inline, facts, looks_again=True, latest=lambda: self.judge.number
        )
        self._server = ServerSide(self._state, {})
        self._reader = FrameReader(lambda _: 100_000, data=b"d", cut=b"QPBF", small=10_000, usual_end=END_OF_EXCHANGE)
        self._seq = itertools.count(1)
        self._now = NANOSECONDS
        self.recorded = 0

    def turn(self, sent: bytes, answered: bytes) -> None:
        """The client's bytes are judged, recorded and forwarded; the server's are read, recorded and sent back."""
        self._now += _MILLISECOND
        plan = self._client.from_client(next_batch(self._reader.feed(sent), 0), self._now)
        for event in plan.events:
            self.recorded += len(render(event, next(self._seq)))
        assert plan.data
        self._now += _MILLISECOND
        step = self._server.read(self._server.scan(answered), self._now)
        for event in step.events:
            self.recorded += len(render(event, next(self._seq)))
        assert step.data


def _prepared(core: Core, turns: int) -> None:
    core.turn(parse(_TEXT, b"P_0") + sync(), answer("1") + answer("Z", b"I"))
    sent = bind(b"P_0", values=(b"4711",)) + describe() + execute() + sync()
    answered = answer("2") + _FIELDS + _ROW + _DONE
    for _ in range(turns):
        core.turn(sent, answered)


def _extended(core: Core, turns: int) -> None:
    sent = parse(_TEXT) + bind(values=(b"4711",)) + describe() + execute() + sync()
    answered = answer("1") + answer("2") + _FIELDS + _ROW + _DONE
    for _ in range(turns):
        core.turn(sent, answered)


def _repeated(core: Core, turns: int) -> None:
    sent = query(_LITERAL % 7)
    for _ in range(turns):
        core.turn(sent, _FIELDS + _ROW + _DONE)


def _unique(core: Core, turns: int) -> None:
    for turn in range(turns):
        core.turn(query(_LITERAL % (turn + 1000)), _FIELDS + _ROW + _DONE)


def _new(core: Core, turns: int) -> None:
    for turn in range(turns):
        core.turn(query(_NAME % (turn + 1000)), _FIELDS + _ROW + _DONE)


CONVERSATIONS: dict[str, Callable[[Core, int], None]] = {
    "prepared": _prepared, "extended": _extended, "repeated": _repeated, "unique": _unique, "new": _new,
}  # fmt: skip
"""`repeated`: the same text by the simple protocol. `unique`: each text has a literal of its own. `new`: each has a
name of its own, so that it is parsed and judged."""
