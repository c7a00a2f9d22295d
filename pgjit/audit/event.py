"""What happened: the events of the audit journal, as values. `record.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from pgjit.audit.keeping_event import KeepingEvent
from pgjit.audit.reload_event import ReloadEvent
from pgjit.audit.results.capture import ResultCapture
from pgjit.audit.review_event import ReviewEvent
from pgjit.clock import moment_of
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity
from pgjit.policy.decision import Violation
from pgjit.policy.policy import ResultCaps
from pgjit.policy.redaction import Redaction
from pgjit.sql.statement import StatementSummary

__all__ = [
    "ApiCalled",
    "BackendGone",
    "BackendRemains",
    "BalancerConnection",
    "Ended",
    "Event",
    "Evidence",
    "Execution",
    "JournalGap",
    "LoginRefused",
    "Outcome",
    "Parameters",
    "PolicyDiffers",
    "Proof",
    "ServiceStarted",
    "ServiceStopped",
    "SessionContext",
    "SessionEnded",
    "SessionHeads",
    "SessionOpened",
    "StoreRestored",
    "WindowEnded",
    "WindowEnding",
    "WindowOpened",
    "time_of_event",
]


class SessionHeads(NamedTuple):
    """What the records of one session begin with: all between `"type":` and the number of the execution."""

    execution: str
    outcome: str


@dataclass(frozen=True, slots=True)
class BalancerConnection:
    """The connection of a load balancer that carries a client's, and what the balancer says about it."""

    source: str  # the balancer's address and port
    unique_id: bytes | None = None  # of the connection, by which the balancer's log has it
    link_id: int | None = None  # of an Azure private endpoint
    vpc_endpoint: str | None = None  # of AWS


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What does not change in a session. Only `session.opened` has all of it."""

    identity: Identity
    policy: str
    policy_version: str
    window: Window
    session_id: str
    connection: str
    backend_pid: int
    source: str  # the client's address and port
    statements_only: bool = False  # `record: statements`: records have no values
    redaction: Redaction | None = None  # of the policy: what records leave out
    results: ResultCaps | None = None  # of `record: results`: how much of a result is kept
    heads: list[SessionHeads] = field(default_factory=list, init=False, compare=False, repr=False)
    """One, rendered with the first record of the session."""


@dataclass(slots=True, init=False)  # as Outcome
class Parameters:
    """The bound values of an execution, as the client sent them."""

    values: tuple[bytes | None, ...]
    formats: tuple[int, ...]  # per value: 0 text, 1 binary, 2 an expression that is written out in an EXECUTE
    count: int | None  # how many there were, if not all are kept; see parameters.py
    length: int | None  # of the last value, if only its beginning is kept
    types: tuple[int, ...]  # object ids of the first values' types; 0, or none at all: not known

    def __init__(
        self, values: tuple[bytes | None, ...], formats: tuple[int, ...], count: int | None = None,
        length: int | None = None, types: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        self.values, self.formats = values, formats
        self.count, self.length, self.types = count, length, types


@dataclass(slots=True, init=False)  # as Outcome
class Execution:
    """A statement that is about to be forwarded, or that was refused. Its Outcome follows with the same number."""

    context: SessionContext
    number: int  # of this execution in its session, from 1
    at: int  # nanoseconds since 1970
    protocol: Literal["simple", "extended"]
    statement: str  # the SQL text, whole
    kind: str | None  # None: it did not parse
    decision: Literal["allow", "deny"]
    violations: tuple[Violation, ...]
    parameters: Parameters | None
    prepared_as: str | None  # the prepared statement or portal that it runs
    through: tuple[str, ...]  # the texts that led to it (EXECUTE, FETCH), beginning with the client's own
    unresolved: str | None  # why another one may have run: only under `access: full`
    summary: StatementSummary | None  # None: it was not parsed

    def __init__(
        self, context: SessionContext, number: int, at: int, protocol: Literal["simple", "extended"], statement: str,
        kind: str | None, decision: Literal["allow", "deny"], violations: tuple[Violation, ...] = (),
        parameters: Parameters | None = None, prepared_as: str | None = None, through: tuple[str, ...] = (),
        unresolved: str | None = None, summary: StatementSummary | None = None,
    ) -> None:  # fmt: skip
        self.context, self.number, self.at = context, number, at
        self.protocol = protocol
        self.statement, self.kind = statement, kind
        self.decision = decision
        self.violations, self.parameters, self.prepared_as = violations, parameters, prepared_as
        self.through, self.unresolved, self.summary = through, unresolved, summary


Ended = Literal[
    "completed",  # the server reported success
    "suspended",  # a portal returned its row limit; more may follow in another execution
    "failed",  # the server reported an error
    "limited",  # over a limit of the policy: the rest of its result was dropped, or it was stopped
    "refused",  # a rule refused it; the database never saw it
    "skipped",  # the server skipped it after an earlier error of the same batch
    "cut",  # the session ended before the server answered
]


# Not frozen, arguments without names, and an `__init__` that can be compiled: otherwise it takes three times as long.
@dataclass(slots=True, init=False)
class Outcome:
    """How an execution ended. `rows` and `bytes` count what the server sent for it."""

    context: SessionContext
    number: int  # of its execution
    at: int  # nanoseconds since 1970
    ended: Ended
    command: str | None  # the command tag
    rows: int
    bytes: int
    sqlstate: str | None
    duration_us: int
    received: int  # bytes of COPY data that the client sent for it
    message: str | None  # of the error
    result: ResultCapture | None  # under `record: results`, if it has any
    first_row_us: int | None  # until the first row, if it came before the end

    def __init__(
        self, context: SessionContext, number: int, at: int, ended: Ended, command: str | None, rows: int,
        bytes: int,  # noqa: A002 - as the record has it
        sqlstate: str | None, duration_us: int, received: int = 0, message: str | None = None,
        result: ResultCapture | None = None, first_row_us: int | None = None,
    ) -> None:  # fmt: skip
        self.context, self.number, self.at = context, number, at
        self.ended, self.command = ended, command
        self.sqlstate, self.message = sqlstate, message
        self.rows, self.bytes, self.received = rows, bytes, received
        self.duration_us, self.first_row_us, self.result = duration_us, first_row_us, result


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was done to stop a backend, and what was seen."""

    cancel_sent: bool
    terminate_sent: bool
    gone: bool
    checked_at: datetime
    took_ms: int
    error: str | None = None
    by: Literal["look", "restart"] | None = None  # its server has no such process, or was restarted since
    server: ServerInstance | None = None  # the one that answered last


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why the policy is open to this identity: a group or an app role, its source, and when it was checked."""

    group: str | None
    role: str | None
    source: Literal["claim", "graph"]  # of the group; an app role is always a claim
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened:
    context: SessionContext
    at: datetime
    application_name: str | None
    tls: str  # version and cipher
    startup_user: str
    server_version: str
    membership: Evidence | None = None
    reason: str | None = None  # the agent's own words, from `pgjit.reason` and `pgjit.ticket`
    ticket: str | None = None
    process: ServerProcess | None = None
    server: str | None = None  # the address, as the configuration names it
    node: str | None = None  # the pgjit node that has the session
    worker: int | None = None  # the process of the node
    database: str | None = None  # on the server
    balancer: BalancerConnection | None = None  # that named the client's address


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    context: SessionContext
    at: datetime
    reason: str  # `client`, `ttl`, `shutdown`, `server`, `protocol`, `tripwire`, ...
    detail: str | None
    executions: int
    proof: Proof | None
    rows: int = 0  # of all its outcomes
    bytes: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOpened:
    identity: Identity
    policy: str
    policy_version: str
    window: Window
    at: datetime
    source: str
    reason: str | None = None  # the agent's own words, from `pgjit.reason`


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEnded:
    window: Window
    at: datetime
    reason: str
    sessions: int  # sessions that were live when it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEnding:
    """The window is over, but some of its backends were not seen to be gone yet."""

    window: Window
    at: datetime
    reason: str
    sessions: int  # sessions whose backends remain


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRemains:
    """An alert: the backend of a session does not end, or cannot be seen to end."""

    session_id: str
    window: Window
    process: ServerProcess
    at: datetime
    proof: Proof  # what was seen so far


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendGone:
    """A backend that an earlier process left behind was seen to be gone."""

    session_id: str
    window: Window
    process: ServerProcess
    at: datetime
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRefused:
    """A connection that did not become a session, with the true reason. It never holds any part of a token."""

    at: datetime
    source: str
    reference: str
    sqlstate: str
    reason: str
    startup_user: str | None
    startup_database: str | None
    identity: Identity | None = None
    count: int = 1  # more than 1: so many from one address, all refused for this reason before TLS
    balancer: BalancerConnection | None = None  # that named the client's address


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStarted:
    at: datetime
    version: str
    config_hash: str
    policies: tuple[tuple[str, str], ...]  # (name, version)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStopped:
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalGap:
    """The journal lacks records that the store has noted: those after `found` are missing, or were changed."""

    at: datetime
    reason: Literal["missing", "changed"]
    expected: int  # the last record that the store has noted
    expected_sha256: str  # of its line
    found: int  # the last record that is in the journal; 0: it is empty


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored:
    """The store had lost windows that the journal has. They were restored, as ended."""

    at: datetime
    windows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiffers:
    """Another node on the store has another version of a policy. A window of both ends at the earlier end."""

    at: datetime
    policy: str
    policy_version: str  # of this node
    node: str
    version_there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCalled:
    """A call of the HTTP API that changes something, or reads what belongs to others. Written before it happens.

    `status`: of a call that was refused because of who the caller is. Such a call does not happen.
    """

    at: datetime
    identity: Identity
    role: str  # in which the caller acts
    method: str
    path: str
    target: str | None  # what the call is about, if the path does not show it
    source: str
    status: int | None = None


Event = (
    Execution
    | Outcome
    | SessionOpened
    | SessionEnded
    | WindowOpened
    | WindowEnding
    | WindowEnded
    | BackendRemains
    | BackendGone
    | LoginRefused
    | ServiceStarted
    | ServiceStopped
    | JournalGap
    | StoreRestored
    | PolicyDiffers
    | ApiCalled
    | ReviewEvent
    | KeepingEvent
    | ReloadEvent
)


def time_of_event(event: Event) -> datetime:
    """Events that every statement has hold their time as a number, which takes less time to make and to compare."""
    return moment_of(event.at) if isinstance(event, Execution | Outcome) else event.at
