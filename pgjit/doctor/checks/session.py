"""A session of the login role: its settings, other sessions of the role, user mappings, row-level security."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pgjit.doctor.check import Check
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Subject

__all__ = [
    "AUTHENTICATION",
    "EVENT_TRIGGERS",
    "MAPPINGS",
    "ROW_SECURITY",
    "SESSION",
    "SETTINGS",
    "SIBLINGS",
    "VIEWS",
    "EventTrigger",
    "LoginMethod",
    "LoginSession",
    "Mapping",
    "RoleSetting",
    "RowPolicy",
    "Sibling",
    "View",
]  # fmt: skip

NAME = "pgjit doctor"
"""The application_name of the doctor's own session."""

_SESSION = """
SELECT current_setting('application_name') AS application_name, current_setting('search_path') AS search_path,
       current_setting('password_encryption') AS password_encryption,
       current_setting('lo_compat_privileges')::boolean AS lo_compat_privileges,
       coalesce((SELECT context = 'user' FROM pg_settings WHERE name = 'client_connection_check_interval'),
                current_setting('server_version_num')::int < 140000) AS check_settable
"""

_SETTINGS = """
SELECT s.setrole <> 0 AS for_role, coalesce(quote_ident(d.datname), '') AS database,
       split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value
FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
  AND (s.setdatabase = 0 OR d.datname = current_database())
"""

_SIBLINGS = """
SELECT coalesce(application_name, '') AS application_name, coalesce(client_addr::text, 'local') AS address,
       count(*) AS sessions
FROM pg_stat_activity
WHERE usename = session_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND coalesce(application_name, '') NOT LIKE 'pgjit %'
GROUP BY 1, 2 ORDER BY 1, 2
"""

_MAPPINGS = """
SELECT quote_ident(srvname) AS server, CASE umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(usename) END AS mapped,
       umuser::bigint AS role
FROM pg_user_mappings WHERE umuser = ANY ($1::oid[]) ORDER BY 1, 2
"""

_AUTHENTICATION = "SELECT system_user AS authenticated"

_EVENT_TRIGGERS = """
SELECT quote_ident(evtname) AS name, evtevent AS event FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1
"""

_ROW_SECURITY = """
SELECT format('%I.%I', n.nspname, c.relname) AS relation, quote_ident(p.polname) AS policy,
       concat(pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)) LIKE '%current_setting(%'
           AS by_setting
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND EXISTS (
    SELECT FROM pg_roles r WHERE r.oid = ANY ($1::oid[]) AND has_any_column_privilege(r.oid, c.oid, 'SELECT'))
ORDER BY 1, 2
"""

# A view without security_invoker reads with its owner's rights, and so bypasses row-level security for its reader.
_VIEWS = """
SELECT DISTINCT format('%I.%I', n.nspname, v.relname) AS view, v.relkind = 'm' AS materialized
FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_rewrite w ON w.ev_class = v.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.refobjid AND c.relrowsecurity
JOIN pg_roles o ON o.oid = v.relowner
WHERE v.relkind IN ('v', 'm')
  AND (o.rolsuper OR o.rolbypassrls OR v.relowner = c.relowner AND NOT c.relforcerowsecurity)
  AND NOT coalesce(v.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
  AND EXISTS (
    SELECT FROM pg_roles r WHERE r.oid = ANY ($1::oid[]) AND has_any_column_privilege(r.oid, v.oid, 'SELECT'))
ORDER BY 1
"""


class LoginSession(NamedTuple):
    application_name: str
    search_path: str
    password_encryption: str
    lo_compat_privileges: bool
    check_settable: bool


class RoleSetting(NamedTuple):
    for_role: bool  # set for the login role; else for every role
    database: str  # empty: in every database
    name: str
    value: str


class Sibling(NamedTuple):
    application_name: str
    address: str
    sessions: int


class Mapping(NamedTuple):
    server: str
    mapped: str
    role: int


class LoginMethod(NamedTuple):
    authenticated: str | None  # `scram-sha-256:name`; None where the server checked nothing


class EventTrigger(NamedTuple):
    name: str
    event: str


class RowPolicy(NamedTuple):
    relation: str
    policy: str
    by_setting: bool


class View(NamedTuple):
    view: str
    materialized: bool


def _session(rows: Sequence[LoginSession], _subject: Subject) -> Iterator[Finding]:
    for row in rows:
        if row.application_name != NAME or row.search_path != "pg_catalog":
            yield Finding(
                severity=Severity.DANGER,
                reference="startup-settings-lost",
                message="settings of the startup message do not reach the session",
                why="pgjit sets search_path and the limits of a session there. Without them names would mean "
                "something else, and nothing would end the session if pgjit died.",
                advice="Let pgjit connect to the server directly, without a pooler or load balancer.",
            )
        if row.password_encryption == "md5":  # noqa: S105 - the name of a method
            yield Finding(
                severity=Severity.WARNING,
                reference="md5-passwords",
                message="the server stores new passwords as MD5 hashes",
                why="Such a hash is enough to log in, and a password is quickly guessed from it.",
                fix=("ALTER SYSTEM SET password_encryption = 'scram-sha-256';", "SELECT pg_reload_conf();"),
                advice="Then set the login role's password again.",
            )
        if row.lo_compat_privileges:
            yield Finding(
                severity=Severity.DANGER,
                reference="large-objects-unchecked",
                message="lo_compat_privileges is on: rights on large objects are not checked",
                why="Every role reads and writes every large object.",
                fix=("ALTER SYSTEM SET lo_compat_privileges = off;", "SELECT pg_reload_conf();"),
            )
        if not row.check_settable:
            yield Finding(
                severity=Severity.WARNING,
                reference="no-client-check",
                message="client_connection_check_interval cannot be set by a session",
                why="If pgjit dies, a running statement goes on until statement_timeout, just after its window.",
                advice="Set it for the whole server.",
            )


def _settings(rows: Sequence[RoleSetting], subject: Subject) -> Iterator[Finding]:
    for row in rows:
        whom = subject.login.name if row.for_role else "ALL"
        place = f" IN DATABASE {row.database}" if row.database else ""
        if row.name == "role" and row.value not in ("none", ""):
            yield Finding(
                severity=Severity.DANGER,
                reference="session-role",
                message=f"sessions of {subject.login.name} start as role `{row.value}`",
                why="They have that role's rights, and RESET ROLE returns to it.",
                fix=(f"ALTER ROLE {whom}{place} RESET role;",),
            )
        if row.name in ("session_preload_libraries", "local_preload_libraries"):
            yield Finding(
                severity=Severity.NOTE,
                reference="preloaded-libraries",
                message=f"sessions load `{row.value}` when they start",
                why="The code of a library can run with any statement.",
            )
    held = any(row.for_role and row.name == "default_transaction_read_only" and row.value == "on" for row in rows)
    if subject.reads_only and not held:
        yield Finding(
            severity=Severity.NOTE,
            reference="not-read-only-by-default",
            message=f"the settings of {subject.login.name} do not make its transactions read-only",
            why="pgjit sets that in the startup message. A setting of the role also covers logins without pgjit.",
            fix=(f"ALTER ROLE {subject.login.name} SET default_transaction_read_only = on;",),
        )


def _siblings(rows: Sequence[Sibling], subject: Subject) -> Iterator[Finding]:
    if rows:
        yield Finding(
            severity=Severity.WARNING,
            reference="login-shared",
            message=f"other programs are logged in as {subject.login.name}",
            why="A role may terminate its own sessions: an agent that gets past the rules could end those.",
            objects=tuple(f"`{row.application_name}` from {row.address}: sessions: {row.sessions}" for row in rows),
            advice="Give pgjit a login role that no other program uses.",
        )


def _mappings(rows: Sequence[Mapping], subject: Subject) -> Iterator[Finding]:
    if rows:
        reached = {role.oid for role in subject.reached}
        fixes = [
            sql
            for row in rows
            for sql in (
                subject.unreach(row.role)
                if row.role in reached
                else (f"DROP USER MAPPING FOR {row.mapped} SERVER {row.server};",)
            )
        ]
        yield Finding(
            severity=Severity.DANGER,
            reference="user-mapping",
            message="it has user mappings for foreign servers",
            why="Statements there run with the mapped login. A read-only transaction does not restrict them, and "
            "pgjit cannot end them.",
            objects=tuple(f"server {row.server}, as {row.mapped}" for row in rows),
            fix=tuple(dict.fromkeys(fixes)),
        )


def _authentication(rows: Sequence[LoginMethod], subject: Subject) -> Iterator[Finding]:
    method = (rows[0].authenticated or "trust").partition(":")[0] if rows else "trust"
    if method == "trust":
        yield Finding(
            severity=Severity.WARNING,
            reference="login-not-proved",
            message=f"the server accepts {subject.login.name} without a password or certificate",
            why="Whoever reaches the server can log in as this role, without pgjit.",
            advice="Require scram-sha-256 in pg_hba.conf.",
        )
    elif method in ("md5", "password"):
        yield Finding(
            severity=Severity.WARNING,
            reference="weak-login",
            message=f"the server authenticates by `{method}`",
            why="The server's copy of the password, or the message that carries it, is enough to log in.",
            advice="Require scram-sha-256 in pg_hba.conf, and set the password again under that password_encryption.",
        )


def _event_triggers(rows: Sequence[EventTrigger], _subject: Subject) -> Iterator[Finding]:
    if rows:
        yield Finding(
            severity=Severity.NOTE,
            reference="event-triggers",
            message="event triggers run functions in sessions",
            why="Those on `login` run in each session of an agent, the others with DDL. No rule judges them.",
            objects=tuple(f"{row.name} on {row.event}" for row in rows),
            fix=tuple(f"ALTER EVENT TRIGGER {row.name} DISABLE;" for row in rows),
        )


def _row_security(rows: Sequence[RowPolicy], _subject: Subject) -> Iterator[Finding]:
    trusting = [row for row in rows if row.by_setting]
    if trusting:
        yield Finding(
            severity=Severity.WARNING,
            reference="row-security-by-setting",
            message="row-level security trusts a setting of the session",
            why="Any role can change it. Only the rules, which refuse SET of unlisted settings, prevent that.",
            objects=tuple(f"policy {row.policy} on {row.relation}" for row in trusting),
            advice="Let the row policies test current_user, and give each tenant a login role.",
        )
    if rows:
        yield Finding(
            severity=Severity.NOTE,
            reference="row-security",
            message="some tables that it can read have row-level security",
            why="To the server all identities of this connection are one role, and see the same rows.",
            objects=tuple(dict.fromkeys(row.relation for row in rows)),
        )


def _views(rows: Sequence[View], subject: Subject) -> Iterator[Finding]:
    if rows:
        invoker = subject.login.version >= 150000
        plain = [row.view for row in rows if not row.materialized] if invoker else []
        yield Finding(
            severity=Severity.WARNING,
            reference="views-past-row-security",
            message="it can read views that bypass row-level security",
            why="A view reads with its owner's rights, and its tables' row policies do not apply to that owner.",
            objects=tuple(row.view for row in rows),
            fix=tuple(f"ALTER VIEW {view} SET (security_invoker = true);" for view in plain),
            advice=None
            if len(plain) == len(rows)
            else "Revoke SELECT on them, or give them an owner to whom the row policies apply.",
        )


SESSION = Check("the session's settings", _SESSION, LoginSession, _session)
SETTINGS = Check("settings of the role", _SETTINGS, RoleSetting, _settings)
SIBLINGS = Check("other sessions", _SIBLINGS, Sibling, _siblings)
MAPPINGS = Check("user mappings", _MAPPINGS, Mapping, _mappings)
AUTHENTICATION = Check("the authentication method", _AUTHENTICATION, LoginMethod, _authentication, since=160000)
EVENT_TRIGGERS = Check("event triggers", _EVENT_TRIGGERS, EventTrigger, _event_triggers)
ROW_SECURITY = Check("row-level security", _ROW_SECURITY, RowPolicy, _row_security)
VIEWS = Check("views", _VIEWS, View, _views)
