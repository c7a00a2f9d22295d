"""The relay, with a test at both of its ends: the test sends what a client and a server would send.

`BothEnds` holds the relay to what is true of every plan, whatever the test is about: see `frames`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from pgjit.audit.event import Event, Execution, Outcome, SessionContext
from pgjit.clock import nanoseconds_of
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity, IdentityKey, IdentityKind
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_side import ClientPlan, ClientSide
from pgjit.proxy.relay.exchange import END_OF_EXCHANGE
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_side import ServerSide
from pgjit.proxy.relay.server_step import ServerStep
from pgjit.proxy.relay.show_pgjit import SessionFacts
from pgjit.sql.statement import NameEffect, Statement
from pgwire.framing import Frame, FrameReader
from pgwire.messages.extended import Bind, DescribeTarget, Execute, Parse, encode_bind, encode_execute, encode_parse
from pgwire.messages.extended import encode_target as target
from pgwire.messages.query import encode_query, error_response
from tests.fixtures.terms import policy_of

__all__ = [
    "CONTEXT", "NANOSECONDS", "NOW", "BothEnds", "answer", "bind", "close", "describe", "error", "execute",
    "judge_words", "parse", "query",
]  # fmt: skip

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NANOSECONDS = nanoseconds_of(NOW)
"""The same as the relay has it."""
_KEY = IdentityKey("11111111-1111-4111-8111-111111111111", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
CONTEXT = SessionContext(
    identity=Identity(
        key=_KEY,
        kind=IdentityKind.AGENT,
        app_id=None,
        display="checks",
        groups=frozenset(),
        token_id="uti",
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    ),
    policy="jit-schema-checks",
    policy_version="0123456789abcdef",
    window=Window(
        id="w_1",
        identity=_KEY,
        policy="jit-schema-checks",
        connection="shop",
        opened_at=NOW,
        ends_at=NOW + timedelta(hours=1),
        retry_at=NOW + timedelta(hours=2),
    ),
    session_id="s_1",
    connection="shop",
    backend_pid=4242,
    source="10.0.0.7:51000",
)
_VERBS = {"prepare", "execute", "deallocate", "declare", "fetch", "close", "discard"}


def judge_words(sql: bytes) -> Judgement:
    """A judge of its own: a statement with the word `bad` in it is refused, `broken` does not parse."""
    text = sql.decode(errors="replace")
    if "unread" in text:  # what a judge under `access: full` says of text that does not parse
        return Judgement(text, (), (), unread=True)
    if "broken" in text:
        return Judgement(text, (), (Violation(rule="syntax-error", message="broken", sqlstate="42601"),))
    if text.startswith("SHOW pgjit."):
        return Judgement(text, (), (), text.removeprefix("SHOW pgjit."))
    statements = tuple(_statement(index, one.strip()) for index, one in enumerate(text.split(";")) if one.strip())
    violations = tuple(
        Violation(rule="bad-word", message="bad word", position=1, statement=one.index)
        for one in statements
        if "bad" in one.text
    )
    return Judgement(text, statements, violations)


def _statement(index: int, text: str) -> Statement:
    words = text.split()
    verb = words[0].lower()
    effect = None
    if verb in _VERBS and len(words) > 1:
        name = None if words[1:2] == ["ALL"] else words[1]
        effect = NameEffect(verb, name)  # type: ignore[arg-type]
    kind = "copy-in" if verb == "copy" and "FROM STDIN" in text else verb
    return Statement(index=index, kind=kind, text=text, position=0, effect=effect)


# --- messages of a client ---


def query(text: str) -> bytes:
    return encode_query(text.encode())


def parse(text: str, name: bytes = b"", types: tuple[int, ...] = ()) -> bytes:
    return encode_parse(Parse(name, text.encode(), types))


def bind(name: bytes = b"", portal: bytes = b"", values: tuple[bytes | None, ...] = ()) -> bytes:
    return encode_bind(Bind(portal, name, (), values, ()))


def execute(portal: bytes = b"", limit: int = 0) -> bytes:
    return encode_execute(Execute(portal, limit))


def describe(kind: str = "P", name: bytes = b"") -> bytes:
    return target(b"D", DescribeTarget(kind, name))


def close(kind: str = "S", name: bytes = b"") -> bytes:
    return target(b"C", DescribeTarget(kind, name))


# --- messages of a server ---


def answer(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def error(sqlstate: str, message: str, severity: str = "ERROR") -> bytes:
    return error_response({"S": severity, "V": severity, "C": sqlstate, "M": message})


class BothEnds:
    def __init__(
        self,
        tripwire: dict[str, str] | None = None,
        *,
        judge: Callable[[bytes], Judgement | None] = judge_words,
        unrestricted: bool = False,
        budget: Budget | None = None,
        encoding: str = "UTF8",
        looks_again: bool = False,
        spent: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._tokens = 0
        self.judge = judge  # a test may replace it
        self.state = RelayState(
            CONTEXT,
            ends_at=CONTEXT.window.ends_at,
            new_token=self._new_token,
            budget=budget,
            encoding=encoding,
            unrestricted=unrestricted,
        )
        ends_at = CONTEXT.window.ends_at
        facts = SessionFacts(context=CONTEXT, ends_at=ends_at, policy=policy_of(), budget=self.state.budget)
        self.client_side = ClientSide(self.state, self._judgement, facts, looks_again=looks_again, spent=spent)
        self.server_side = ServerSide(self.state, tripwire or {})
        self._reader = FrameReader(lambda _: 100_000, data=b"d", cut=b"QPBF", small=10_000, usual_end=END_OF_EXCHANGE)
        self.events: list[Event] = []

    def _judgement(self, sql: bytes) -> Judgement | None:
        return self.judge(sql)

    def _new_token(self) -> bytes:
        self._tokens += 1
        return self.token

    @property
    def token(self) -> bytes:
        """The latest."""
        return b"pgjit_deny_%04d" % self._tokens

    def client(self, *raws: bytes, settled: bool = False) -> ClientPlan:
        return self.frames(self._reader.feed(b"".join(raws)), settled=settled)

    def frames(self, frames: Sequence[Frame], *, settled: bool = False) -> ClientPlan:
        """The plan for the client's frames. Every run in the plan's bytes has its record in the same plan."""
        plan = self.client_side.from_client(frames, NANOSECONDS, settled=settled)
        recorded = {event.number for event in plan.events if isinstance(event, Execution)}
        sent = [run.number for item in plan.each if item.request for run in item.request.runs]
        assert set(sent) <= recorded
        assert all(item.executes for item in plan.each if item.request and item.request.runs)
        self.events += plan.events
        return plan

    def server(self, *raws: bytes) -> ServerStep:
        step = self.server_side.from_server(b"".join(raws), NANOSECONDS + 5_000_000)
        self.events += step.events
        return step

    def refused_by_server(self, token: bytes | None = None) -> bytes:
        """The server's error for what was put in the place of the latest refused message."""
        named = (token or self.token).decode()
        return error("42601", f'syntax error at or near "{named}"')

    @property
    def executions(self) -> list[tuple[str, str]]:
        return [(one.statement, one.decision) for one in self.events if isinstance(one, Execution)]

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """(statement, how it ended), in the order of the outcomes."""
        texts = {one.number: one.statement for one in self.events if isinstance(one, Execution)}
        return [(texts[one.number], one.ended) for one in self.events if isinstance(one, Outcome)]

    @property
    def results(self) -> list[tuple[str, int, str | None]]:
        """(how it ended, rows, SQLSTATE), in the order of the outcomes."""
        return [(one.ended, one.rows, one.sqlstate) for one in self.events if isinstance(one, Outcome)]

    @property
    def last_outcome(self) -> Outcome:
        return [one for one in self.events if isinstance(one, Outcome)][-1]
