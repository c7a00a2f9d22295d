"""Examines a login role on the real server: logs in as sessions do, runs the query of every check, changes nothing.

Decides what happens when a query fails: that is a finding of its own, and is never skipped. What the rows of a query
mean is decided by its check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from pgjit.doctor.check import Check, written_out
from pgjit.doctor.checks import CHECKS
from pgjit.doctor.checks.connection import connection_findings
from pgjit.doctor.checks.control import control_findings
from pgjit.doctor.checks.login import login_findings
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.login import logged_in
from pgjit.doctor.subject import ControlRole, LoginRole, Membership, ReachedRole, Subject
from pgjit.policy.policy import Policy
from pgjit.policy.unread import runs_unread
from pgjit.server.link import Link
from pgjit.server.simple_query import QueryFailed, run_query
from pgjit.server.target import Target

__all__ = ["Report", "examine"]

_MOST_ROWS = 5000
_SECONDS = 60.0

_LOGIN = """
SELECT r.oid::bigint AS oid, quote_ident(r.rolname) AS name, r.rolsuper AS superuser, r.rolcreaterole AS createrole,
       r.rolcreatedb AS createdb, r.rolreplication AS replication, r.rolbypassrls AS bypassrls,
       r.rolconnlimit AS connection_limit,
       CASE WHEN isfinite(r.rolvaliduntil)
            THEN (extract(epoch FROM r.rolvaliduntil - now()) / 86400)::float8 END AS days_valid,
       quote_ident(d.datname) AS database,
       quote_ident(pg_get_userbyid(CASE WHEN d.datdba = r.oid OR pg_has_role(r.oid, d.datdba, 'MEMBER')
                                        THEN 10 ELSE d.datdba END)) AS heir,
       current_setting('server_version_num')::int AS version
FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database()
"""

# Columns that version 16 added are read through to_jsonb, which gives NULL on earlier versions.
_MEMBERSHIPS = """
SELECT quote_ident(r.rolname) AS role, quote_ident(pg_get_userbyid(m.grantor)) AS grantor, m.admin_option AS admin,
       coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS settable,
       coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true) AS inherited
FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
WHERE m.member = ANY ($1::oid[]) ORDER BY 1, 2
"""

_REACHED = """
WITH RECURSIVE reach (oid, direct) AS (
    SELECT m.roleid, m.roleid FROM pg_auth_members m WHERE m.member = ANY ($1::oid[])
    UNION
    SELECT m.roleid, r.direct FROM pg_auth_members m JOIN reach r ON m.member = r.oid
)
SELECT r.oid::bigint AS oid, quote_ident(o.rolname) AS name,
       array_remove(ARRAY[
           CASE WHEN o.rolsuper THEN 'SUPERUSER' END, CASE WHEN o.rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN o.rolcreatedb THEN 'CREATEDB' END, CASE WHEN o.rolreplication THEN 'REPLICATION' END,
           CASE WHEN o.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS powers,
       array_agg(DISTINCT quote_ident(pg_get_userbyid(r.direct))) AS through,
       EXISTS (SELECT FROM pg_shdepend s WHERE s.deptype = 'o' AND s.refclassid = 'pg_authid'::regclass
               AND s.refobjid = r.oid AND s.classid <> 'pg_default_acl'::regclass
               AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS owner
FROM reach r JOIN pg_roles o ON o.oid = r.oid
GROUP BY r.oid, o.rolname, o.rolsuper, o.rolcreaterole, o.rolcreatedb, o.rolreplication, o.rolbypassrls
ORDER BY 2
"""

_CONTROL = """
SELECT quote_ident('{user}') AS name, r.oid IS NOT NULL AS exists, coalesce(r.rolsuper, false) AS superuser,
       coalesce(r.rolcanlogin, false) AS can_login,
       coalesce(r.rolsuper OR pg_has_role(r.oid, 'pg_signal_backend', 'USAGE')
                OR pg_has_role(r.oid, a.oid, 'USAGE'), false) AS signals,
       coalesce(r.rolsuper OR pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')
                OR pg_has_role(r.oid, a.oid, 'USAGE'), false) AS sees,
       coalesce(has_database_privilege(r.oid, current_database(), 'CONNECT'), false) AS connects,
       coalesce(NOT a.rolsuper AND pg_has_role(a.oid, r.oid, 'MEMBER'), false) AS within_reach
FROM pg_roles a LEFT JOIN pg_roles r ON r.rolname = '{user}' WHERE a.rolname = session_user
"""


@dataclass(frozen=True, slots=True)
class Report:
    subject: Subject
    findings: tuple[Finding, ...]  # the worst first

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def fixes(self) -> tuple[str, ...]:
        """The SQL of all dangers and warnings, each statement once."""
        severe = (finding for finding in self.findings if finding.severity is not Severity.NOTE)
        return tuple(dict.fromkeys(sql for finding in severe for sql in finding.fix))


async def examine(target: Target, policies: Iterable[Policy]) -> Report:
    """Examine the login role of `target`, the connection of `policies`. Raises ServerUnavailable."""
    failing = f"the login role of connection `{target.name}` cannot be examined"
    async with logged_in(target, failing, _SECONDS) as upstream:
        return await _report(upstream.link, target, tuple(policies))


async def _report(link: Link, target: Target, policies: tuple[Policy, ...]) -> Report:
    await run_query(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    subject = await _subject(link, target, policies)
    findings = [*login_findings(subject), *connection_findings(subject), *control_findings(subject)]
    for check in CHECKS:
        if subject.login.version >= check.since:
            findings += await _answer(link, check, subject)
    await run_query(link, "ROLLBACK")
    order = list(Severity)
    return Report(subject, tuple(sorted(findings, key=lambda finding: order.index(finding.severity))))


async def _rows(link: Link, sql: str) -> list[dict[str, Any]]:
    rows = await run_query(link, f"SELECT row_to_json(q) FROM ({sql}) AS q LIMIT {_MOST_ROWS + 1}")
    return [orjson.loads(row[0] or "{}") for row in rows]


async def _subject(link: Link, target: Target, policies: tuple[Policy, ...]) -> Subject:
    (login,) = [LoginRole(**row) for row in await _rows(link, _LOGIN)]
    mine = [login.oid]
    return Subject(
        connection=target.name,
        login=login,
        memberships=tuple(Membership(**row) for row in await _rows(link, written_out(_MEMBERSHIPS, mine))),
        reached=tuple(ReachedRole(**row) for row in await _rows(link, written_out(_REACHED, mine))),
        access=frozenset(policy.statements.access for policy in policies),
        policies=tuple(sorted(policy.name for policy in policies)),
        unread=tuple(sorted(policy.name for policy in policies if runs_unread(policy.statements))),
        control=await _control(link, target),
        named=tuple(entry.functions for policy in policies for entry in policy.statements.allow if entry.functions),
        search_path=tuple(_schema(name, target.user) for name in target.search_path.split(",")),
        sslmode=None if all(host.is_unix for host in target.hosts) else target.sslmode,
        hosts=tuple(host.name for host in target.hosts if not host.is_unix),
    )


async def _control(link: Link, target: Target) -> ControlRole | None:
    if target.control is None:
        return None
    user = target.control.user.replace("'", "''")
    (role,) = await _rows(link, _CONTROL.format(user=user))
    return ControlRole(**role)


def _schema(name: str, user: str) -> str:
    """The schema that an entry of a search_path means, as the catalogs spell it."""
    bare = name.strip()
    bare = bare[1:-1].replace('""', '"') if bare.startswith('"') else bare.lower()
    return user if bare == "$user" else bare


async def _answer(link: Link, check: Check[Any], subject: Subject) -> tuple[Finding, ...]:
    await run_query(link, "SAVEPOINT question")
    try:
        rows = await _rows(link, written_out(check.sql, subject.grantees, subject.search_path))
    except QueryFailed as fault:
        await run_query(link, "ROLLBACK TO SAVEPOINT question")
        return (_not_seen(check, f"The server reported {fault}."),)
    findings = check.read(rows[:_MOST_ROWS], subject)
    return findings if len(rows) <= _MOST_ROWS else (*findings, _cut(check))


def _not_seen(check: Check[Any], why: str) -> Finding:
    return Finding(
        severity=Severity.DANGER,
        reference="not-seen",
        message=f"{check.name} could not be examined",
        why=f"{why} A danger there would not be found.",
        advice="Let the role read the system catalogs, as PostgreSQL does by default.",
    )


def _cut(check: Check[Any]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        reference="not-all-seen",
        message=f"only the first {_MOST_ROWS} rows of {check.name} were examined",
        why="There are more of the same kind.",
        advice="Run the SQL, and this command again.",
    )
