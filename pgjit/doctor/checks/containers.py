"""Rights on schemas, databases, languages, foreign servers, tablespaces and parameters.

These rights let a role create objects, reach other servers, or change settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgjit.doctor.check import Check
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Privilege, Subject

__all__ = ["CONTAINERS", "PARAMETERS"]

_GRANT = """a.privilege_type AS privilege, a.grantee::bigint AS grantee,
       quote_ident(pg_get_userbyid(a.grantor)) AS grantor, quote_ident(pg_get_userbyid({owner})) AS owner,
       a.is_grantable AS grantable"""


def _columns(owner: str) -> str:
    return _GRANT.format(owner=owner)


_CONTAINERS = f"""
SELECT 'SCHEMA' AS kind, quote_ident(n.nspname) AS object, {_columns("n.nspowner")}, '' AS what
FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE a.privilege_type = 'CREATE' AND a.grantee = ANY ($1::oid[]) AND a.grantee <> n.nspowner
  AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'DATABASE', quote_ident(d.datname), {_columns("d.datdba")},
       CASE WHEN d.datname = current_database() THEN 'this' ELSE '' END
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> d.datdba AND d.datallowconn
  AND (d.datname = current_database()) = (a.privilege_type <> 'CONNECT')
UNION ALL
SELECT 'LANGUAGE', quote_ident(l.lanname), {_columns("l.lanowner")}, ''
FROM pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> l.lanowner AND l.laninline <> 0
UNION ALL
SELECT 'FOREIGN SERVER', quote_ident(s.srvname), {_columns("s.srvowner")}, ''
FROM pg_foreign_server s, aclexplode(s.srvacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> s.srvowner
UNION ALL
SELECT 'FOREIGN DATA WRAPPER', quote_ident(f.fdwname), {_columns("f.fdwowner")}, ''
FROM pg_foreign_data_wrapper f, aclexplode(f.fdwacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> f.fdwowner
UNION ALL
SELECT 'TABLESPACE', quote_ident(t.spcname), {_columns("t.spcowner")}, ''
FROM pg_tablespace t, aclexplode(t.spcacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> t.spcowner
"""

_PARAMETERS = """
SELECT 'PARAMETER' AS kind, quote_ident(p.parname) AS object, a.privilege_type AS privilege,
       a.grantee::bigint AS grantee, quote_ident(pg_get_userbyid(a.grantor)) AS grantor,
       quote_ident(pg_get_userbyid(a.grantor)) AS owner, a.is_grantable AS grantable, '' AS what
FROM pg_parameter_acl p, aclexplode(p.paracl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> 10
"""

# (kind, privilege) -> severity, reference, message, why. Of databases, only the connection's counts, but for CONNECT.
_MEANING = {
    ("SCHEMA", "CREATE"): (
        Severity.DANGER, "create-in-schema", "it may create objects in schemas",
        "A function, operator or table that it creates there can replace the one that a judged name means.",
    ),
    ("DATABASE", "CREATE"): (
        Severity.DANGER, "create-in-database", "it may create schemas and trusted extensions in this database",
        "In a schema of its own it can create functions that write and that the rules do not know.",
    ),
    ("DATABASE", "TEMPORARY"): (
        Severity.WARNING, "temporary-objects", "it may create temporary objects in this database",
        "A temporary table hides the judged table of the same name, and can fill the disk.",
    ),
    ("DATABASE", "CONNECT"): (
        Severity.NOTE, "other-databases", "it may connect to other databases of this server",
        "pgjit connects to the configured database only; through dblink the login could be used for others.",
    ),
    ("LANGUAGE", "USAGE"): (
        Severity.WARNING, "do-blocks", "it may run DO blocks and create functions in procedural languages",
        "Code in a DO block can end its read-only transaction. Then only the rights on tables protect the data.",
    ),
    ("FOREIGN SERVER", "USAGE"): (
        Severity.DANGER, "foreign-server", "it may use foreign servers",
        "It can map itself to a login on another server. A read-only transaction here does not stop a write there.",
    ),
    ("FOREIGN DATA WRAPPER", "USAGE"): (
        Severity.DANGER, "foreign-data-wrapper", "it may define foreign servers",
        "It can make this server connect to any other server.",
    ),
    ("TABLESPACE", "CREATE"): (
        Severity.WARNING, "create-in-tablespace", "it may create objects in tablespaces",
        "It can fill a disk that others use.",
    ),
    ("PARAMETER", "SET"): (
        Severity.DANGER, "set-parameter", "it may set parameters that are reserved for superusers",
        "Such parameters load libraries, switch off checks, or hide statements from the server's log.",
    ),
    ("PARAMETER", "ALTER SYSTEM"): (
        Severity.DANGER, "alter-system", "it may change parameters for the whole server",
        "ALTER SYSTEM outlives the session, and is possible in a read-only transaction.",
    ),
}  # fmt: skip


def _findings(grants: Sequence[Privilege], subject: Subject) -> Iterator[Finding]:
    for key, (severity, reference, message, why) in _MEANING.items():
        found = [grant for grant in grants if (grant.kind, grant.privilege) == key]
        if found:
            yield Finding(
                severity=severity,
                reference=reference,
                message=message,
                why=why,
                objects=tuple(dict.fromkeys(f"{g.object} (granted to {subject.name(g.grantee)})" for g in found)),
                fix=subject.revoke(found),
            )


CONTAINERS = Check("schemas, databases, languages and servers", _CONTAINERS, Privilege, _findings)
PARAMETERS = Check("parameters", _PARAMETERS, Privilege, _findings, since=150000)
