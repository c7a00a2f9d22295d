"""The members of the records of windows, of people's decisions and of the service. Values only.

For the JSON schema of the journal alone, as `record_shapes.py`.
"""

from __future__ import annotations

from typing import Literal

from pgjit.audit.record_shapes import (
    BalancerShape,
    Count,
    FullIdentityShape,
    HolderShape,
    KeyShape,
    MembersShape,
    Moment,
    OpenedWindowShape,
    PersonShape,
    Positive,
    ProgramShape,
    RecordShape,
    Sha256,
    Sqlstate,
    WindowShape,
)

__all__ = [
    "ApiCalledShape", "BreakGlassSignedOffShape", "BreakGlassUsedShape", "ConfigRefusedShape",
    "ConfigReloadedShape", "EarlierJournalShape", "JournalGapShape",
    "JournalReplacedShape", "JournalSpaceShape", "JournalTornShape", "LockChangedShape", "LockShape",
    "LoginRefusedShape", "NotificationFailedShape", "OfRequestShape", "OfWindowShape", "PolicyDiffersShape",
    "PolicyVersionShape", "RequestEndedShape", "RequestMadeShape", "RequestVerdictShape", "SaltsDroppedShape",
    "SegmentDroppedShape",
    "ServiceStartedShape", "ServiceStoppedShape", "SessionKilledShape", "StoreRestoredShape", "UsedForShape",
    "VerdictShape", "WindowAdoptedShape", "WindowEndedShape", "WindowOpenedShape", "WindowRevokedShape",
]  # fmt: skip

# --- windows -------------------------------------------------------------------------------------------


class WindowOpenedShape(RecordShape):
    type: Literal["window.opened"]
    identity: FullIdentityShape
    policy: str
    policy_version: str
    window: OpenedWindowShape
    connection: str
    source: str
    reason: str | None


class WindowEndedShape(RecordShape):
    type: Literal["window.ending", "window.ended"]
    identity: KeyShape
    policy: str
    window: WindowShape
    connection: str
    reason: str
    sessions: Count


class OfWindowShape(RecordShape):
    identity: KeyShape
    policy: str
    window: WindowShape
    connection: str
    request: str | None
    entry: int | None = None


class WindowRevokedShape(OfWindowShape):
    type: Literal["window.revoked"]
    reason: str | None
    by: PersonShape | None


class WindowAdoptedShape(OfWindowShape):
    type: Literal["window.adopted"]
    node: str


class BreakGlassUsedShape(OfWindowShape):
    type: Literal["break_glass.used"]
    reason: str | None


class BreakGlassSignedOffShape(OfWindowShape):
    type: Literal["break_glass.signed_off"]
    comment: str | None
    by: PersonShape | None


# --- people --------------------------------------------------------------------------------------------


class OfRequestShape(RecordShape):
    identity: HolderShape | ProgramShape
    policy: str
    policy_version: str
    request: str
    connection: str
    source: str
    reason: str | None
    ticket: str | None
    ttl_seconds: float
    digest: str
    approvals: Positive
    entry: int | None = None


class VerdictShape(MembersShape):
    verdict: str
    by: PersonShape
    comment: str | None
    cap_seconds: float | None
    decided_at: Moment


class RequestMadeShape(OfRequestShape):
    type: Literal["request.made"]


class RequestVerdictShape(OfRequestShape):
    type: Literal["request.verdict"]
    verdict: str
    by: PersonShape
    comment: str | None
    cap_seconds: float | None
    decided_at: Moment


class UsedForShape(MembersShape):
    id: str


class RequestEndedShape(OfRequestShape):
    type: Literal["request.ended"]
    state: Literal["approved", "refused", "lapsed", "withdrawn", "used"]
    verdicts: list[VerdictShape]
    note: str | None
    window: UsedForShape | None


class LockShape(MembersShape):
    id: str
    kind: str
    target: str
    until: Moment | None


class LockChangedShape(RecordShape):
    type: Literal["lock.set", "lock.lifted"]
    lock: LockShape
    reason: str
    by: PersonShape
    entry: int | None = None


class SessionKilledShape(RecordShape):
    type: Literal["session.killed"]
    session: str
    reason: str
    by: PersonShape
    entry: int | None = None


class NotificationFailedShape(RecordShape):
    type: Literal["notification.failed"]
    channel: str
    subject: str
    attempts: Count
    error: str
    entry: int | None = None


class ApiCalledShape(RecordShape):
    type: Literal["api.called"]
    identity: FullIdentityShape
    role: str
    method: str
    path: str
    target: str | None
    source: str
    status: int | None = None


# --- the service ---------------------------------------------------------------------------------------


class LoginRefusedShape(RecordShape):
    type: Literal["login.refused"]
    identity: FullIdentityShape | None
    source: str
    reference: str
    sqlstate: Sqlstate
    reason: str
    startup_user: str | None
    startup_database: str | None
    count: Positive
    balancer: BalancerShape | None = None


class PolicyVersionShape(MembersShape):
    name: str
    version: str


class ServiceStartedShape(RecordShape):
    type: Literal["service.started"]
    version: str
    config_hash: str
    policies: list[PolicyVersionShape]


class ConfigReloadedShape(RecordShape):
    type: Literal["config.reloaded"]
    trigger: Literal["signal", "api", "watch"]
    by: PersonShape | None
    config_hash: str
    policies: list[PolicyVersionShape]
    changed: list[str]
    restart: list[str]


class ConfigRefusedShape(RecordShape):
    type: Literal["config.refused"]
    trigger: Literal["signal", "api", "watch"]
    by: PersonShape | None
    faults: list[str]
    count: Positive


class ServiceStoppedShape(RecordShape):
    type: Literal["service.stopped"]
    reason: str


class JournalGapShape(RecordShape):
    type: Literal["journal.gap"]
    reason: Literal["missing", "changed"]
    expected: Positive
    expected_sha256: Sha256
    found: Count


class StoreRestoredShape(RecordShape):
    type: Literal["store.restored"]
    windows: list[str]


class PolicyDiffersShape(RecordShape):
    type: Literal["policy.differs"]
    policy: str
    policy_version: str
    node: str
    version_there: str


# --- the journal itself --------------------------------------------------------------------------------


class JournalTornShape(RecordShape):
    type: Literal["journal.torn"]
    line: Count
    bytes: Count
    files: list[str]


class EarlierJournalShape(MembersShape):
    origin: str
    lines: Count
    seq: Count
    sha256: Sha256


class JournalReplacedShape(RecordShape):
    type: Literal["journal.replaced"]
    origin: str
    before: EarlierJournalShape


class SegmentDroppedShape(RecordShape):
    type: Literal["journal.segment.dropped"]
    segment: str
    first: Count
    lines: Count
    until: Moment
    archived: str | None
    unsent: Positive | None = None


class SaltsDroppedShape(RecordShape):
    type: Literal["journal.salts.dropped"]
    days: list[str]


class JournalSpaceShape(RecordShape):
    type: Literal["journal.space.low", "journal.space.regained"]
    free_bytes: Count
    warn_bytes: Count
