"""The members of the records of sessions and executions, and those that other records have too. Values only.

For the JSON schema of the journal alone: records are not written by these. A record has no other members.
`docs/journal.md` says what they mean.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BackendShape",
    "BalancerShape",
    "CommittedShape",
    "Count",
    "ExecutionShape",
    "FullIdentityShape",
    "HolderShape",
    "InstanceShape",
    "KeyShape",
    "LeftBehindShape",
    "MembersShape",
    "MembershipShape",
    "Moment",
    "ObjectShape",
    "OpenedWindowShape",
    "OutcomeShape",
    "ParametersShape",
    "PersonShape",
    "Positive",
    "ProgramShape",
    "ProofShape",
    "RecordShape",
    "RedactedShape",
    "ResultShape",
    "SessionEndedShape",
    "SessionOpenedShape",
    "Sha256",
    "SiblingShape",
    "Sqlstate",
    "ViolationShape",
    "WindowShape",
]  # fmt: skip

Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
IdentityText = Annotated[str, Field(pattern=r"^[^/]+/.+$")]
ExecutionId = Annotated[str, Field(pattern=r"^[^/]+/[1-9]\d*$")]
Sqlstate = Annotated[str, Field(pattern=r"^[0-9A-Z]{5}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Decision = Literal["allow", "deny"]
Ended = Literal["completed", "suspended", "failed", "limited", "refused", "skipped", "cut"]


class MembersShape(BaseModel):
    model_config = ConfigDict(extra="forbid", title=None)


class RecordShape(MembersShape):
    v: Literal[1]
    seq: Positive
    time: Moment


# --- members that several records share ----------------------------------------------------------------


class KeyShape(MembersShape):
    tid: str
    oid: str


class FullIdentityShape(KeyShape):
    app_id: str | None
    kind: Literal["app", "user", "agent", "agent-user"]
    display: str
    token_id: str
    blueprint_id: str | None
    on_behalf_of: str | None
    credential: Literal["none", "secret", "certificate"] | None
    acrs: list[str]


class HolderShape(KeyShape):
    kind: str
    display: str


class ProgramShape(HolderShape):
    app_id: str | None
    blueprint_id: str | None
    on_behalf_of: str | None


class PersonShape(KeyShape):
    display: str
    via: str


class WindowShape(MembersShape):
    id: str
    opened_at: Moment
    ends_at: Moment


class OpenedWindowShape(WindowShape):
    retry_at: Moment


class InstanceShape(MembersShape):
    system: str | None
    started_at: Moment
    timeline: str | None
    standby: bool
    endpoint: str | None


class BackendShape(MembersShape):
    pid: int
    started_at: Moment
    server: InstanceShape


class ProofShape(MembersShape):
    cancel_sent: bool
    terminate_sent: bool
    gone: bool
    by: Literal["look", "restart"] | None
    server: InstanceShape | None
    checked_at: Moment
    took_ms: int
    error: str | None


# --- sessions and executions ---------------------------------------------------------------------------


class MembershipShape(MembersShape):
    group: str | None
    role: str | None
    source: Literal["claim", "graph"]
    checked_at: Moment


class BalancerShape(MembersShape):
    source: str
    unique_id: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")] | None = None
    link_id: Annotated[int, Field(ge=0, le=4294967295)] | None = None
    vpc_endpoint: str | None = None


class SessionOpenedShape(RecordShape):
    type: Literal["session.opened"]
    identity: FullIdentityShape
    policy: str
    policy_version: str
    window: WindowShape
    session: str
    connection: str
    server: str | None
    database: str | None
    node: str | None
    worker: Count | None
    backend_pid: int
    source: str
    application_name: str | None
    tls: str
    startup_user: str
    server_version: str
    membership: MembershipShape | None
    backend: BackendShape | None
    reason: str | None = None
    ticket: str | None = None
    balancer: BalancerShape | None = None


class ObjectShape(MembersShape):
    object: str
    name: str | None


class SiblingShape(MembersShape):
    statement: Count
    rule: str


class ViolationShape(MembersShape):
    rule: str
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    sqlstate: Sqlstate
    statement: Count | None = None
    objects: list[ObjectShape] | None = None
    entry: str | None = None
    sibling: SiblingShape | None = None


class ParametersShape(MembersShape):
    values: list[Any]
    count: Count | None = None
    truncated: Literal[True] | None = None


class CommittedShape(MembersShape):
    member: Annotated[str, Field(pattern=r"^(statement|parameters|message)/[1-9]\d*$")]
    commitment: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]


class RedactedShape(MembersShape):
    salts: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d/[0-9a-f]{16}$")]
    values: list[CommittedShape]


class ExecutionShape(RecordShape):
    type: Literal["execution"]
    identity: IdentityText
    policy: str
    window: str
    execution: ExecutionId
    protocol: Literal["extended"] | None = None
    decision: Decision
    kind: str | None = None
    statement: str
    statement_bytes: Positive | None = None
    statement_sha256: Sha256 | None = None
    normalised: str | None = None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    reads: list[str] | None = None
    writes: list[str] | None = None
    calls: list[str] | None = None
    about: Literal["catalog"] | None = None
    violations: list[ViolationShape] | None = None
    prepared_as: str | None = None
    through: list[str] | None = None
    unresolved: str | None = None
    parameters: ParametersShape | None = None
    redacted: RedactedShape | None = None


class ResultShape(MembersShape):
    kept: Literal[False] | None = None
    file: Annotated[str, Field(pattern=r"^\d{20}\.results$")] | None = None
    offset: Count | None = None
    bytes: Positive | None = None
    sha256: Sha256 | None = None
    rows: Count | None = None
    truncated: Literal[True] | None = None


class OutcomeShape(RecordShape):
    type: Literal["outcome"]
    window: str
    execution: ExecutionId
    ended: Ended
    command: str | None = None
    rows: Count
    bytes: Positive | None = None
    received: Positive | None = None
    sqlstate: Sqlstate | None = None
    message: str | None = None
    first_row_us: Count | None = None
    duration_us: Count
    result: ResultShape | None = None
    redacted: RedactedShape | None = None


class SessionEndedShape(RecordShape):
    type: Literal["session.ended"]
    identity: IdentityText
    policy: str
    window: str
    session: str
    reason: str
    detail: str | None
    executions: Count
    rows: Count
    bytes: Count
    received: Count
    proof: ProofShape | None


class LeftBehindShape(RecordShape):
    type: Literal["backend.remains", "backend.gone"]
    identity: KeyShape
    policy: str
    window: WindowShape
    session: str
    connection: str
    backend: BackendShape
    proof: ProofShape
