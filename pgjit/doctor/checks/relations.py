"""Rights on tables, views, sequences and large objects, ownership, and default privileges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pgjit.doctor.check import Check
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Privilege, Subject

__all__ = ["CATALOGS", "DEFAULTS", "LARGE_OBJECTS", "OWNED", "RELATIONS", "Default", "Owned"]

_GRANT = """quote_ident(pg_get_userbyid(a.grantor)) AS grantor, quote_ident(pg_get_userbyid({owner})) AS owner,
       a.is_grantable AS grantable"""
# The grants of initdb itself, which every server has (such as UPDATE on pg_settings).
_NOT_INITIAL = """NOT EXISTS (
        SELECT FROM pg_init_privs i, aclexplode(i.initprivs) b
        WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0 AND i.privtype = 'i'
          AND b.grantee = a.grantee AND b.privilege_type = a.privilege_type)"""

_RELATIONS = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
       format('%I.%I', n.nspname, c.relname) AS object, a.privilege_type AS privilege, a.grantee::bigint AS grantee,
       {_GRANT.format(owner="c.relowner")}, CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE '' END AS what
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND a.grantee = ANY ($1::oid[]) AND a.grantee <> c.relowner
  AND (a.privilege_type <> 'SELECT' OR c.relkind = 'f') AND {_NOT_INITIAL}
UNION ALL
SELECT 'TABLE', format('%I.%I', n.nspname, c.relname), format('%s (%I)', a.privilege_type, t.attname),
       a.grantee::bigint, {_GRANT.format(owner="c.relowner")},
       CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE '' END
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
     aclexplode(t.attacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> c.relowner AND NOT t.attisdropped
  AND (a.privilege_type <> 'SELECT' OR c.relkind = 'f')
ORDER BY 1, 2, 3
"""

_SECRET = (
    "pg_authid pg_shadow pg_user_mapping pg_subscription pg_largeobject pg_statistic pg_statistic_ext_data "
    "pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_stats"
).split()

_CATALOGS = f"""
SELECT 'TABLE' AS kind, format('%I.%I', n.nspname, c.relname) AS object, a.privilege_type AS privilege,
       a.grantee::bigint AS grantee, {_GRANT.format(owner="c.relowner")}, c.relname::text AS what
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
WHERE n.nspname = 'pg_catalog' AND c.relname IN ({", ".join(f"'{name}'" for name in _SECRET)})
  AND a.privilege_type = 'SELECT' AND a.grantee = ANY ($1::oid[]) AND a.grantee <> c.relowner
ORDER BY 2
"""

_LARGE_OBJECTS = f"""
SELECT 'LARGE OBJECT' AS kind, l.oid::text AS object, a.privilege_type AS privilege, a.grantee::bigint AS grantee,
       {_GRANT.format(owner="l.lomowner")}, '' AS what
FROM pg_largeobject_metadata l, aclexplode(l.lomacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> l.lomowner
ORDER BY l.oid
"""

_OWNED = """
SELECT DISTINCT s.refobjid::bigint AS owner, coalesce(d.datname, '') AS elsewhere,
       CASE WHEN d.oid IS NULL THEN pg_describe_object(s.classid, s.objid, 0) ELSE '' END AS object
FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid AND d.datname <> current_database()
WHERE s.deptype = 'o' AND s.classid NOT IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass)
  AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY ($1::oid[])
ORDER BY 2, 3
"""

_DEFAULTS = """
SELECT quote_ident(pg_get_userbyid(d.defaclrole)) AS maker, coalesce(quote_ident(n.nspname), '') AS schema,
       d.defaclobjtype::text AS kind, a.privilege_type AS privilege, a.grantee::bigint AS grantee
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
WHERE a.grantee = ANY ($1::oid[]) AND a.grantee <> d.defaclrole AND d.defaclobjtype IN ('r', 'S', 'n')
ORDER BY 1, 2, 3, 4
"""


class Owned(NamedTuple):
    owner: int
    elsewhere: str  # another database, where objects cannot be described from here
    object: str


class Default(NamedTuple):
    """A default privilege: a right that future objects will grant."""

    maker: str
    schema: str
    kind: str
    privilege: str
    grantee: int


def _listed(grants: Iterable[Privilege], subject: Subject) -> tuple[str, ...]:
    """One line for each object and grantee, with all their privileges."""
    lines: dict[tuple[str, str], list[str]] = {}
    for grant in grants:
        lines.setdefault((grant.object, subject.name(grant.grantee)), []).append(grant.privilege)
    return tuple(
        f"{name}: {', '.join(dict.fromkeys(privileges))} (granted to {grantee})"
        for (name, grantee), privileges in lines.items()
    )


def _finding(
    grants: Sequence[Privilege], subject: Subject, severity: Severity, reference: str, message: str, why: str
) -> Iterator[Finding]:
    if grants:
        yield Finding(
            severity=severity,
            reference=reference,
            message=message,
            why=why,
            objects=_listed(grants, subject),
            fix=subject.revoke(grants),
        )


def _writing(subject: Subject) -> Severity:
    if subject.reads_only:
        return Severity.DANGER
    return Severity.NOTE if subject.writes_only else Severity.WARNING


_WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")


def _relations(grants: Sequence[Privilege], subject: Subject) -> Iterator[Finding]:
    def those(test: Callable[[Privilege], bool]) -> list[Privilege]:
        return [grant for grant in grants if test(grant)]

    def writes(grant: Privilege) -> bool:
        return grant.privilege.split(" ")[0] in _WRITES

    foreign = those(lambda g: g.what == "foreign table")
    yield from _finding(
        [g for g in foreign if writes(g)], subject, Severity.DANGER, "write-foreign-tables",
        "it may write to foreign tables",
        "The write happens on another server. A read-only transaction does not prevent it, and pgjit cannot end it.",
    )  # fmt: skip
    yield from _finding(
        [g for g in foreign if g.privilege.startswith("SELECT")], subject, Severity.WARNING, "read-foreign-tables",
        "it may read foreign tables",
        "The read runs with another login on another server, where a view may write.",
    )  # fmt: skip
    plain = [g for g in grants if g.what != "foreign table"]
    intended = (
        "Policies of this connection may write: these are the objects they can reach."
        if subject.writes_only
        else None
    )
    yield from _finding(
        [g for g in plain if g.kind == "TABLE" and writes(g)], subject, _writing(subject), "write-tables",
        "it may write to tables",
        intended or "The policies only read: the database itself should refuse a write that gets past the rules.",
    )  # fmt: skip
    yield from _finding(
        [g for g in plain if g.kind == "SEQUENCE" and g.privilege != "SELECT"], subject,
        Severity.NOTE if subject.writes_only else Severity.WARNING, "write-sequences",
        "it may advance or set sequences",
        intended or "The policies only read: none of their statements needs it.",
    )  # fmt: skip
    yield from _finding(
        [g for g in plain if g.privilege == "TRIGGER"], subject, Severity.DANGER, "trigger-on-tables",
        "it may create triggers on tables",
        "A trigger's function runs with the rights of the role that writes to the table next.",
    )  # fmt: skip
    yield from _finding(
        [g for g in plain if g.privilege.split(" ")[0] in ("REFERENCES", "MAINTAIN")], subject, Severity.WARNING,
        "maintain-tables", "it may reference tables by foreign keys, or maintain them",
        "A foreign key keeps other roles from deleting rows; maintenance locks the table for everyone.",
    )  # fmt: skip


def _catalogs(grants: Sequence[Privilege], subject: Subject) -> Iterator[Finding]:
    secret = [grant for grant in grants if grant.what != "pg_stats"]
    yield from _finding(
        secret, subject, Severity.DANGER, "secret-catalogs", "it may read system catalogs that hold secrets",
        "Password hashes, credentials for other servers, sampled values of every table.",
    )  # fmt: skip
    yield from _finding(
        [grant for grant in grants if grant.what == "pg_stats"], subject, Severity.NOTE, "column-statistics",
        "it may read pg_stats",
        "It shows frequent values of all columns that the role may read, also of those that a policy denies.",
    )  # fmt: skip


def _large_objects(grants: Sequence[Privilege], subject: Subject) -> Iterator[Finding]:
    yield from _finding(
        [grant for grant in grants if grant.privilege == "UPDATE"], subject, _writing(subject),
        "write-large-objects", "it may write to large objects",
        "Before PostgreSQL 16 a read-only transaction does not prevent that.",
    )  # fmt: skip
    yield from _finding(
        [grant for grant in grants if grant.privilege == "SELECT"], subject, Severity.NOTE,
        "read-large-objects", "it may read large objects", "No rule on tables or columns covers them.",
    )  # fmt: skip


def _owned(rows: Sequence[Owned], subject: Subject) -> Iterator[Finding]:
    login = subject.login
    mine = [row for row in rows if row.owner == login.oid]
    if mine:
        elsewhere = sorted({row.elsewhere for row in mine if row.elsewhere})
        heir = f"REASSIGN OWNED BY {login.name} TO {login.heir};"
        yield Finding(
            severity=Severity.DANGER,
            reference="owns-objects",
            message=f"{login.name} owns objects",
            why="An owner can alter, drop and grant, whatever was revoked. Row-level security does not apply to it.",
            objects=(
                *(row.object for row in mine if not row.elsewhere),
                *(f"objects in database {name}" for name in elsewhere),
            ),
            fix=(heir,) if len(elsewhere) < len(mine) else (),
            advice=f"Run `{heir}` in {', '.join(elsewhere)} as well." if elsewhere else None,
        )


_KINDS = {"r": "TABLES", "S": "SEQUENCES", "n": "SCHEMAS"}


def _defaults(rows: Sequence[Default], subject: Subject) -> Iterator[Finding]:
    beyond = [row for row in rows if row.kind in _KINDS and row.privilege not in ("SELECT", "USAGE")]
    fixes: dict[str, None] = {}
    for row in beyond:
        if row.grantee in {role.oid for role in subject.reached}:
            fixes.update(dict.fromkeys(subject.unreach(row.grantee)))
            continue
        place = f" IN SCHEMA {row.schema}" if row.schema else ""
        fixes[
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {row.maker}{place} REVOKE {row.privilege} ON {_KINDS[row.kind]} "
            f"FROM {subject.name(row.grantee)};"
        ] = None
    if beyond:
        yield Finding(
            severity=Severity.WARNING,
            reference="future-rights",
            message="it will have rights beyond reading on future objects",
            why="Default privileges grant them on every new object, and nobody will check again.",
            objects=tuple(
                f"{row.privilege} on {_KINDS[row.kind].lower()} that {row.maker} creates"
                + (f" in schema {row.schema}" if row.schema else "")
                for row in beyond
            ),
            fix=tuple(fixes),
        )


RELATIONS = Check("rights on tables, views and sequences", _RELATIONS, Privilege, _relations)
CATALOGS = Check("system catalogs", _CATALOGS, Privilege, _catalogs)
LARGE_OBJECTS = Check("large objects", _LARGE_OBJECTS, Privilege, _large_objects)
OWNED = Check("ownership", _OWNED, Owned, _owned)
DEFAULTS = Check("default privileges", _DEFAULTS, Default, _defaults)
