"""How a session is written: its start, its end with the proof, its backend, and how its other records begin. Pure."""

from __future__ import annotations

from pgjit.audit.event import (
    BackendGone,
    BackendRemains,
    Evidence,
    Proof,
    SessionContext,
    SessionEnded,
    SessionHeads,
    SessionOpened,
)
from pgjit.audit.record_json import as_json, as_members, time_text
from pgjit.audit.record_members import (
    balancer_member,
    identity_member,
    identity_text,
    instance_member,
    key_member,
    process_member,
    window_member,
)
from pgjit.audit.redaction.redacted_record import redact_detail, redact_names

__all__ = ["ended_members", "left_behind_members", "opened_members", "session_heads"]


def session_heads(context: SessionContext) -> SessionHeads:
    """Rendered once for each session."""
    if not context.heads:
        context.heads.append(_rendered(context))
    return context.heads[0]


def _rendered(context: SessionContext) -> SessionHeads:
    members = as_members(
        {"identity": identity_text(context.identity.key), "policy": context.policy, "window": context.window.id}
    )
    window = as_members({"window": context.window.id})
    number = b',"execution":%s/' % as_json(context.session_id)[:-1]
    heads = b'"execution",%s%s' % (members, number), b'"outcome",%s%s' % (window, number)
    return SessionHeads(heads[0].decode(), heads[1].decode())


def opened_members(event: SessionOpened) -> dict[str, object]:
    context = event.context
    application_name, startup_user = redact_names(event)
    return {
        "identity": identity_member(context.identity),
        "policy": context.policy,
        "policy_version": context.policy_version,
        "window": window_member(context.window),
        "session": context.session_id,
        "connection": context.connection,
        "server": event.server,
        "database": event.database,
        "node": event.node,
        "worker": event.worker,
        "backend_pid": context.backend_pid,
        "source": context.source,
        "application_name": application_name,
        "tls": event.tls,
        "startup_user": startup_user,
        "server_version": event.server_version,
        "membership": None if event.membership is None else _evidence(event.membership),
        "backend": None if event.process is None else process_member(event.process),
        **({} if event.reason is None else {"reason": event.reason}),
        **({} if event.ticket is None else {"ticket": event.ticket}),
        **balancer_member(event.balancer),
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "group": evidence.group,
        "role": evidence.role,
        "source": evidence.source,
        "checked_at": time_text(evidence.checked_at),
    }


def ended_members(event: SessionEnded) -> dict[str, object]:
    context = event.context
    return {
        "identity": identity_text(context.identity.key),
        "policy": context.policy,
        "window": context.window.id,
        "session": context.session_id,
        "reason": event.reason,
        "detail": redact_detail(event),
        "executions": event.executions,
        "rows": event.rows,
        "bytes": event.bytes,
        "received": event.received,
        "proof": None if event.proof is None else _proof(event.proof),
    }


def _proof(proof: Proof) -> dict[str, object]:
    return {
        "cancel_sent": proof.cancel_sent,
        "terminate_sent": proof.terminate_sent,
        "gone": proof.gone,
        "by": proof.by,
        "server": None if proof.server is None else instance_member(proof.server),
        "checked_at": time_text(proof.checked_at),
        "took_ms": proof.took_ms,
        "error": proof.error,
    }


def left_behind_members(event: BackendRemains | BackendGone) -> dict[str, object]:
    return {
        "identity": key_member(event.window.identity),
        "policy": event.window.policy,
        "window": window_member(event.window),
        "session": event.session_id,
        "connection": event.window.connection,
        "backend": process_member(event.process),
        "proof": _proof(event.proof),
    }
