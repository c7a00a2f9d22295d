"""Attributes of the login role, and the roles that it is a member of. Reads the subject only."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import ReachedRole, Subject

__all__ = ["login_findings"]

_DANGER, _WARNING, _NOTE = Severity.DANGER, Severity.WARNING, Severity.NOTE

# attribute of Login -> (keyword, what it lets one do)
_ATTRIBUTES = {
    "superuser": (
        "SUPERUSER",
        "PostgreSQL checks no right: it reaches the server's files and programs, every table, every role.",
    ),
    "createrole": ("CREATEROLE", "It can create roles that pgjit does not know, and grant them rights."),
    "createdb": ("CREATEDB", "It can create databases that it owns, and fill the disk."),
    "replication": (
        "REPLICATION",
        "It can copy the whole cluster, and keep WAL from being removed until the disk is full.",
    ),
    "bypassrls": ("BYPASSRLS", "Row-level security does not apply to it."),
}

# Roles that PostgreSQL predefines, and roles that the large cloud providers add.
_PREDEFINED = {
    "pg_read_all_data": (_DANGER, "It reads every table of every schema, the password hashes in pg_authid included."),
    "pg_write_all_data": (_DANGER, "It writes to every table of every schema."),
    "pg_execute_server_program": (_DANGER, "It runs programs on the server's machine, by COPY ... PROGRAM."),
    "pg_read_server_files": (_DANGER, "It reads files of the server's machine."),
    "pg_write_server_files": (_DANGER, "It writes files on the server's machine."),
    "pg_signal_backend": (_DANGER, "It cancels and terminates the sessions of other roles."),
    "pg_maintain": (_DANGER, "It locks, rewrites and vacuums every table."),
    "pg_create_subscription": (_DANGER, "It makes the server connect to another one and apply its changes."),
    "pg_database_owner": (_DANGER, "It owns what the owner of the database owns, such as the schema public."),
    "pg_checkpoint": (_WARNING, "It can make the server write a checkpoint at any time."),
    "pg_use_reserved_connections": (_WARNING, "It uses the connections that are reserved for emergencies."),
    "pg_signal_autovacuum_worker": (_WARNING, "It stops autovacuum, again and again."),
    "pg_monitor": (_WARNING, "It reads other sessions' statements, with the values in them, and all settings."),
    "pg_read_all_stats": (_WARNING, "It reads other sessions' statements, with the values in them."),
    "pg_read_all_settings": (_WARNING, "It reads settings that hold paths, commands and connection strings."),
    "pg_stat_scan_tables": (_WARNING, "It runs functions that lock a table while they read all of it."),
    "rds_superuser": (_DANGER, "It is all but a superuser on this host."),
    "rds_replication": (_DANGER, "It can replicate."),
    "rds_password": (_DANGER, "It manages the passwords of other roles."),
    "cloudsqlsuperuser": (_DANGER, "It is all but a superuser on this host."),
    "alloydbsuperuser": (_DANGER, "It is all but a superuser on this host."),
    "azure_pg_admin": (_DANGER, "It is all but a superuser on this host."),
    "neon_superuser": (_DANGER, "It is all but a superuser on this host."),
    "supabase_admin": (_DANGER, "It is all but a superuser on this host."),
    "rds_iam": (_NOTE, "It logs in with a token of the cloud provider."),
}  # fmt: skip
_SOON = 14  # days
_LEAST = 2  # connections: one for control, one for a session
_FEW = 5  # connections


def login_findings(subject: Subject) -> Iterator[Finding]:
    yield from _attributes(subject)
    yield from _connection_limit(subject)
    yield from _valid_until(subject)
    for role in subject.reached:
        # pg_monitor includes three other roles: one finding covers all of them.
        if role.name in role.through or not set(role.through) <= _PREDEFINED.keys():
            yield _reached(role, subject)
    yield from _admin(subject)


def _attributes(subject: Subject) -> Iterator[Finding]:
    login = subject.login
    first = login.oid == 10  # the superuser that initdb created keeps its attributes
    for attribute, (keyword, why) in _ATTRIBUTES.items():
        if getattr(login, attribute):
            yield Finding(
                severity=_DANGER,
                reference=f"role-{keyword.lower()}",
                message=f"the login role {login.name} has {keyword}",
                why=why,
                fix=() if first else (f"ALTER ROLE {login.name} NO{keyword};",),
                advice="It is the cluster's first superuser: log in with a role that only pgjit uses."
                if first
                else None,
            )


def _connection_limit(subject: Subject) -> Iterator[Finding]:
    login, limit = subject.login, subject.login.connection_limit
    if limit < 0:
        yield Finding(
            severity=_NOTE,
            reference="no-connection-limit",
            message=f"the login role {login.name} may open any number of connections",
            why="Sessions of agents could use all connections of the server.",
            fix=(f"ALTER ROLE {login.name} CONNECTION LIMIT 50;",),
        )
    elif limit < _LEAST and not login.superuser:
        yield Finding(
            severity=_DANGER,
            reference="connection-limit-too-low",
            message=f"the login role {login.name} may open {limit} connection{'s' if limit != 1 else ''}",
            why="One is the control connection, with which pgjit ends sessions: none is left for a session.",
            fix=(f"ALTER ROLE {login.name} CONNECTION LIMIT 50;",),
        )
    elif limit < _FEW and not login.superuser:
        yield Finding(
            severity=_NOTE,
            reference="low-connection-limit",
            message=f"the login role {login.name} may open {limit} connections at once",
            why="Two of them are control connections, with which pgjit ends sessions, and one reads the catalog. "
            "All agents share the rest.",
            fix=(f"ALTER ROLE {login.name} CONNECTION LIMIT 50;",),
        )


def _valid_until(subject: Subject) -> Iterator[Finding]:
    login, days = subject.login, subject.login.days_valid
    if days is None:
        return
    over = days <= 0
    yield Finding(
        severity=_WARNING if days < _SOON else _NOTE,
        reference="valid-until",
        message=(
            f"the password of {login.name} is no longer valid"
            if over
            else f"the password of {login.name} is valid for {days:.0f} more days"
        ),
        why=(
            "The server did not ask for the password now. Where it does, it refuses this login."
            if over
            else "After that no session can be opened, and a lost control connection cannot be replaced to end one."
        ),
        fix=(f"ALTER ROLE {login.name} VALID UNTIL 'infinity';",) if days < _SOON else (),
    )


def _reached(role: ReachedRole, subject: Subject) -> Finding:
    login = subject.login.name
    severity, why = _PREDEFINED.get(role.name, (_WARNING, "It has that role's rights and can SET ROLE to it."))
    if role.name not in _PREDEFINED and role.name.startswith("pg_"):
        severity, why = _DANGER, "It is a predefined role that this version of pgjit does not know."
    if role.powers:
        severity, why = _DANGER, f"{role.name} has {', '.join(role.powers)}, and SET ROLE is enough to use it."
    elif role.owner and severity is _WARNING:
        severity, why = _DANGER, f"{role.name} owns objects of this database: an owner can alter, drop and grant."
    through = [name for name in role.through if name != role.name]
    return Finding(
        severity=severity,
        reference=f"member-of-{role.name.replace('_', '-')}" if role.name in _PREDEFINED else "member-of-role",
        message=f"{login} is a member of {role.name}" + (f", by {', '.join(through)}" if through else ""),
        why=why,
        fix=subject.unreach(role.oid),
    )


def _admin(subject: Subject) -> Iterator[Finding]:
    for role in sorted({each.role for each in subject.memberships if each.admin}):
        yield Finding(
            severity=_DANGER,
            reference="admin-option",
            message=f"{subject.login.name} may grant membership in {role}",
            why="It can give that role's rights to any other role, which pgjit does not see.",
            fix=subject.leave(role),
        )
