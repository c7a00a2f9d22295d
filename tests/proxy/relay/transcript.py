"""The messages of a transcript in few letters, and what a plan for them records and sends."""

from __future__ import annotations

from pgjit.audit.event import Execution
from pgjit.judging.judge import Judge
from pgjit.proxy.relay.client_side import ClientPlan
from pgjit.sql.catalog import Catalog
from pgwire.framing import Frame, FrameReader
from pgwire.messages import extended, query
from pgwire.reader import message
from tests.fakes import both_ends as messages
from tests.fakes.both_ends import BothEnds
from tests.fixtures.terms import policy_of

__all__ = [
    "FLUSH", "IN_TRANSACTION", "OK", "SYNC", "b", "both_ends", "e", "error", "executions", "frames_of", "p", "q",
    "token_of",
]  # fmt: skip

OK = query.ready_for_query(b"I")
IN_TRANSACTION = query.ready_for_query(b"T")
SYNC, FLUSH = extended.sync(), message(b"H")
q = messages.query


def both_ends(catalog: Catalog | None = None) -> BothEnds:
    """With the real judge."""
    judge = Judge(policy_of(), limit=10_000, catalog=catalog)
    return BothEnds({"client_encoding": "UTF8"}, judge=judge, looks_again=catalog is not None)


def frames_of(*raw: bytes) -> list[Frame]:
    return FrameReader(lambda _: 1 << 20).feed(b"".join(raw))


def p(text: str, name: str = "", *types: int) -> bytes:
    return messages.parse(text, name.encode(), types)


def b(name: str = "", portal: str = "", *values: bytes) -> bytes:
    return messages.bind(name.encode(), portal.encode(), values)


def e(portal: str = "", limit: int = 0) -> bytes:
    return messages.execute(portal.encode(), limit)


def error(code: str, text: str = "no") -> bytes:
    return messages.error(code, text)


def executions(plan: ClientPlan) -> list[tuple[str, str]]:
    """(decision, statement), in the order of the plan."""
    return [(event.decision, event.statement) for event in plan.events if isinstance(event, Execution)]


def token_of(plan: ClientPlan) -> str:
    """The first."""
    return plan.data[plan.data.index(b"pgjit_deny_") :].split(b"\0")[0].decode()
