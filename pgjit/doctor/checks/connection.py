"""How the connection is configured, and which policies share its login role. Reads the subject only."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Subject
from pgjit.server.target import SslMode

__all__ = ["connection_findings"]

_OLDEST, _NEWEST = 13, 18
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def connection_findings(subject: Subject) -> Iterator[Finding]:
    yield from _version(subject)
    yield from _tls(subject)
    if len(subject.policies) > 1:
        yield Finding(
            severity=Severity.NOTE,
            reference="policies-share-a-login",
            message=f"{len(subject.policies)} policies open this connection, all as {subject.login.name}",
            why="PostgreSQL lets a role cancel and terminate its own sessions: only the rules protect the sessions "
            "of one policy from the identities of another.",
            objects=subject.policies,
            advice="Give each policy a connection with a login role of its own.",
        )
    if not subject.reads_only and not subject.writes_only:
        yield Finding(
            severity=Severity.WARNING,
            reference="readers-and-writers-share-a-login",
            message="this connection has policies that read and policies that write",
            why="The policies that read use a login role that may write: only the rules keep them from writing.",
            objects=subject.policies,
            advice="Give the policies that read a connection whose login role may only read.",
        )


def _version(subject: Subject) -> Iterator[Finding]:
    major = subject.login.version // 10000
    if major < _OLDEST:
        yield Finding(
            severity=Severity.DANGER,
            reference="server-too-old",
            message=f"the server is PostgreSQL {major}",
            why=f"pgjit supports {_OLDEST} to {_NEWEST}: on an older server a statement may mean something else.",
            advice="Upgrade the server.",
        )
    elif major < 14:
        yield Finding(
            severity=Severity.WARNING,
            reference="no-client-check",
            message=f"PostgreSQL {major} does not check whether its client is still connected while a statement runs",
            why="If pgjit dies, a running statement goes on until statement_timeout, just after its window.",
            advice="Upgrade the server to PostgreSQL 14 or newer: it has client_connection_check_interval.",
        )
    elif major > _NEWEST:
        yield Finding(
            severity=Severity.WARNING,
            reference="server-too-new",
            message=f"the server is PostgreSQL {major}",
            why=f"Statements are judged by the grammar of version {_NEWEST}; newer syntax is refused.",
            advice="Upgrade pgjit.",
        )


def _tls(subject: Subject) -> Iterator[Finding]:
    match subject.sslmode:
        case SslMode.DISABLE:
            near = all(host in _LOOPBACK for host in subject.hosts)
            yield Finding(
                severity=Severity.NOTE if near else Severity.DANGER,
                reference="no-tls",
                message="`sslmode: disable`: the connection to the server is not encrypted",
                why="Whoever is on the network can read the login and every row, and change judged statements.",
                advice="Use `sslmode: verify-full`"
                + ("." if not near else ", unless the traffic stays on this machine."),
            )
        case SslMode.REQUIRE:
            yield Finding(
                severity=Severity.WARNING,
                reference="server-not-verified",
                message="`sslmode: require`: the server's certificate is not checked",
                why="Another machine could pose as the server and would receive the login.",
                advice="Use `sslmode: verify-full` with `sslrootcert`.",
            )
        case SslMode.VERIFY_CA:
            yield Finding(
                severity=Severity.NOTE,
                reference="server-name-not-verified",
                message="`sslmode: verify-ca`: the name in the server's certificate is not checked",
                why="Any holder of a certificate of the same CA could pose as the server.",
                advice="Use `sslmode: verify-full`.",
            )
        case SslMode.VERIFY_FULL | None:
            pass
