"""One event of every kind, for the tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pgjit.audit.event import (
    ApiCalled,
    BackendGone,
    BackendRemains,
    Event,
    Evidence,
    Execution,
    JournalGap,
    LoginRefused,
    Outcome,
    Parameters,
    PolicyDiffers,
    Proof,
    ServiceStarted,
    ServiceStopped,
    SessionContext,
    SessionEnded,
    SessionOpened,
    StoreRestored,
    WindowEnded,
    WindowEnding,
    WindowOpened,
)
from pgjit.audit.keeping_event import (
    JournalReplaced,
    JournalSpaceLow,
    JournalSpaceRegained,
    JournalTorn,
    SaltsDropped,
    SegmentDropped,
)
from pgjit.audit.reload_event import ConfigReloaded, ReloadFailed
from pgjit.clock import nanoseconds_of
from pgjit.grants.actor import Actor
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.window import Window
from pgjit.identity.identity import Credential, GroupId, Identity, IdentityKey, IdentityKind
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.sql.statement import StatementSummary

__all__ = ["AT", "CONTEXT", "EVENTS", "IDENTITY", "NANOSECONDS", "WINDOW", "execution", "unwritable"]

AT = datetime(2026, 11, 24, 9, 30, 0, 42, tzinfo=UTC)
NANOSECONDS = nanoseconds_of(AT)
IDENTITY = Identity(
    key=IdentityKey("11111111-1111-4111-8111-111111111111", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
    kind=IdentityKind.AGENT,
    app_id="55555555-5555-4555-8555-555555555555",
    display="Schema “checks”",
    groups=frozenset({GroupId("99999999-9999-4999-8999-999999999999")}),
    token_id="uti-1",
    issued_at=AT - timedelta(minutes=1),
    expires_at=AT + timedelta(hours=1),
    blueprint_id="66666666-6666-4666-8666-666666666666",
    credential=Credential.CERTIFICATE,
    acrs=frozenset({"c2", "c1"}),
)
WINDOW = Window(
    id="w_1",
    identity=IDENTITY.key,
    policy="schema-checks",
    connection="shop",
    opened_at=AT,
    ends_at=AT + timedelta(hours=1),
    retry_at=AT + timedelta(hours=2),
)
CONTEXT = SessionContext(
    identity=IDENTITY,
    policy="schema-checks",
    policy_version="abc",
    window=WINDOW,
    session_id="s_1",
    connection="shop",
    backend_pid=4242,
    source="10.0.0.7:51000",
)


def execution(statement: str = "SELECT 1", parameters: Parameters | None = None) -> Execution:
    return Execution(
        context=CONTEXT,
        number=1,
        at=NANOSECONDS,
        protocol="extended",
        statement=statement,
        kind="select",
        decision="allow",
        parameters=parameters,
    )


def unwritable() -> Event:
    """Its time has no zone, which no record can have."""
    return ServiceStopped(at=datetime(2026, 11, 24), reason="stopped")  # noqa: DTZ001 - that is the fault


INSTANCE = ServerInstance(system="7713", started=AT, timeline="00000001", endpoint="10.0.0.1:5432")
PROCESS = ServerProcess(pid=4242, started=AT, role=16384, instance=INSTANCE)
GONE = Proof(cancel_sent=True, terminate_sent=True, gone=True, by="look", server=INSTANCE, checked_at=AT, took_ms=12)

EVENTS: dict[str, Event] = {
    "execution": Execution(
        context=CONTEXT,
        number=1,
        at=NANOSECONDS,
        protocol="simple",
        statement="DELETE FROM orders WHERE id = 7",
        kind="delete",
        decision="deny",
        violations=(
            Violation(
                rule="statement-kind",
                message="no `delete` here",
                position=1,
                statement=0,
                objects=(JudgedObject("kind", ("delete",)),),
                entry="reader.yaml:12:7",
            ),
            Violation(
                rule="refused-with-message",
                message="statement 2 of its message is refused",
                statement=0,
                sibling=(1, "statement-kind"),
            ),
        ),
        prepared_as="p1",
        summary=StatementSummary(
            fingerprint="50fde20626009aba", normalised="DELETE FROM orders WHERE id = $1", writes=("public.orders",)
        ),
    ),
    "outcome": Outcome(
        context=CONTEXT,
        number=1,
        at=NANOSECONDS,
        ended="completed",
        command="SELECT 1",
        rows=1,
        bytes=37,
        sqlstate=None,
        duration_us=1250,
    ),
    "session.opened": SessionOpened(
        context=CONTEXT,
        at=AT,
        application_name="psql",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        startup_user="jit-schema-checks",
        server_version="18.1",
        membership=Evidence(group="99999999-9999-4999-8999-999999999999", role=None, source="graph", checked_at=AT),
        process=PROCESS,
        server="db.example:5432",
        node="pgjit-1",
        worker=0,
        database="shop",
    ),
    "session.ended": SessionEnded(
        context=CONTEXT,
        at=AT,
        reason="ttl",
        detail=None,
        executions=7,
        rows=12,
        bytes=480,
        proof=GONE,
    ),
    "window.opened": WindowOpened(
        identity=IDENTITY,
        policy="schema-checks",
        policy_version="abc",
        window=WINDOW,
        at=AT,
        source="10.0.0.7:51000",
        reason="schema diff, week 47",
    ),
    "window.ending": WindowEnding(window=WINDOW, at=AT, reason="ttl", sessions=1),
    "backend.remains": BackendRemains(
        session_id="s_1",
        window=WINDOW,
        process=PROCESS,
        at=AT,
        proof=Proof(
            cancel_sent=True, terminate_sent=False, gone=False, checked_at=AT, took_ms=3000, error="no answer"
        ),
    ),
    "backend.gone": BackendGone(session_id="s_1", window=WINDOW, process=PROCESS, at=AT, proof=GONE),
    "window.ended": WindowEnded(window=WINDOW, at=AT, reason="ttl", sessions=2),
    "login.refused": LoginRefused(
        at=AT,
        source="10.0.0.7:51000",
        reference="token-refused",
        sqlstate="28P01",
        reason="expired",
        startup_user="jit-schema-checks",
        startup_database="shop",
    ),
    "service.started": ServiceStarted(
        at=AT, version="0.1.0", config_hash="c0ffee", policies=(("schema-checks", "abc"),)
    ),
    "service.stopped": ServiceStopped(at=AT, reason="SIGTERM"),
    "journal.gap": JournalGap(at=AT, reason="missing", expected=9, expected_sha256="ab" * 32, found=4),
    "policy.differs": PolicyDiffers(
        at=AT, policy="reader", policy_version="v1", node="db-proxy-2", version_there="v2"
    ),
    "config.reloaded": ConfigReloaded(
        at=AT,
        trigger="api",
        by=Actor(key=IdentityKey("t", "admin"), display="An Admin", via="api"),
        config_hash="ab" * 32,
        policies=(("reader", "v2"),),
        changed=("policy reader", "tls"),
        restart=("listen.port",),
    ),
    "config.refused": ReloadFailed(
        at=AT, trigger="watch", by=None, faults=("p.yaml:3:1: `ttl` is missing",), count=1
    ),
    "journal.torn": JournalTorn(at=AT, line=4, bytes=21, files=("torn-00000000000000000004",)),
    "journal.replaced": JournalReplaced(
        at=AT, origin="a/0/ijklmnop", origin_before="a/0/abcdefgh", lines=4, seq=9, sha256="ab" * 32
    ),
    "journal.segment.dropped": SegmentDropped(
        at=AT, segment="00000000000000000000.jsonl.zst", first=0, lines=4, until=AT, archived=None
    ),
    "journal.salts.dropped": SaltsDropped(at=AT, days=("2026-11-22", "2026-11-23")),
    "journal.space.low": JournalSpaceLow(at=AT, free_bytes=7, warn_bytes=9),
    "journal.space.regained": JournalSpaceRegained(at=AT, free_bytes=11, warn_bytes=9),
    "store.restored": StoreRestored(at=AT, windows=("w_1", "w_2")),
    "api.called": ApiCalled(
        at=AT,
        identity=IDENTITY,
        role="admin",
        method="POST",
        path="/api/v1/revoke",
        target="policy reading",
        source="10.0.0.9:40000",
    ),
}
