"""How the connection is configured, and who shares its login. Needs no more than the subject."""

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
            why="PostgreSQL lets a role cancel and terminate its own sessions: only the rules keep the identities "
            "of one policy from the sessions of another.",
            objects=subject.policies,
            advice="Give each policy a connection with a login role of its own.",
        )
    if not subject.reads_only and not subject.writes_only:
        yield Finding(
            severity=Severity.WARNING,
            reference="readers-and-writers-share-a-login",
            message="policies that read and policies that write open this connection",
            why="Those that read log in with a role that may write: only the rules stand between.",
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
            why=f"pgjit is made for {_OLDEST} to {_NEWEST}; what is judged here may mean something else there.",
            advice="Upgrade the server.",
        )
    elif major < 14:
        yield Finding(
            severity=Severity.WARNING,
            reference="no-client-check",
            message=f"PostgreSQL {major} does not look whether its client is still there while a statement runs",
            why="If pgjit dies, a running statement goes on until statement_timeout, which is the end of its window.",
            advice="Upgrade the server to PostgreSQL 14 or newer: it has client_connection_check_interval.",
        )
    elif major > _NEWEST:
        yield Finding(
            severity=Severity.WARNING,
            reference="server-too-new",
            message=f"the server is PostgreSQL {major}",
            why=f"Statements are judged by the grammar of version {_NEWEST}; what is newer is refused.",
            advice="Upgrade pgjit.",
        )


def _tls(subject: Subject) -> Iterator[Finding]:
    match subject.sslmode:
        case SslMode.DISABLE:
            near = all(host in _LOOPBACK for host in subject.hosts)
            yield Finding(
                severity=Severity.NOTE if near else Severity.DANGER,
                reference="no-tls",
                message="`sslmode: disable`: the way to the server is in plain text",
                why="Whoever is on the way reads the login and every row, and can change what was judged.",
                advice="Use `sslmode: verify-full`"
                + ("." if not near else ", unless all of it stays on this machine."),
            )
        case SslMode.REQUIRE:
            yield Finding(
                severity=Severity.WARNING,
                reference="server-not-verified",
                message="`sslmode: require`: the server's certificate is not checked",
                why="Another machine could answer in the server's place and would be given the login.",
                advice="Use `sslmode: verify-full` with `sslrootcert`.",
            )
        case SslMode.VERIFY_CA:
            yield Finding(
                severity=Severity.NOTE,
                reference="server-name-not-verified",
                message="`sslmode: verify-ca`: the name in the server's certificate is not checked",
                why="Any holder of a certificate of the same CA could answer in the server's place.",
                advice="Use `sslmode: verify-full`.",
            )
        case SslMode.VERIFY_FULL | None:
            pass
