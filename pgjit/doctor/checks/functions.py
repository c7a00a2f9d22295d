"""Functions that the login role may execute: by name, or through an operator, a cast or a domain.

The text of a statement does not show which function an operator or an overloaded name runs. The right to execute it
decides. Each function is reported once, under its most severe reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pgjit.doctor.check import Check
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Privilege, Subject

__all__ = ["BUILTIN", "FUNCTIONS", "Builtin", "Routine", "classify"]

# The types of a routine's arguments as REVOKE expects them: without names of arguments and defaults.
_SIGNATURE = """format('%I.%I(%s)', n.nspname, p.proname, (
        SELECT string_agg(format_type(t.type, NULL), ', ' ORDER BY t.place)
        FROM unnest(p.proargtypes) WITH ORDINALITY AS t (type, place)))"""
_GRANT = """a.grantee::bigint AS grantee, quote_ident(pg_get_userbyid(a.grantor)) AS grantor,
       quote_ident(pg_get_userbyid(p.proowner)) AS owner, a.is_grantable AS grantable"""
_ACL = "aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
# Whether the extension revoked the function from PUBLIC at its creation, and somebody granted it again.
_BEYOND = """EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
           AND NOT EXISTS (SELECT FROM aclexplode(i.initprivs) b
                           WHERE b.grantee IN (0, a.grantee) AND b.privilege_type = 'EXECUTE'))"""

_FUNCTIONS = f"""
WITH reach AS (SELECT oid FROM pg_roles WHERE oid = ANY ($1::oid[])),
usable AS (
    SELECT n.oid, n.nspname = ANY ($2::text[]) AS on_path
    FROM pg_namespace n
    WHERE EXISTS (SELECT FROM reach r WHERE has_schema_privilege(r.oid, n.oid, 'USAGE'))
),
behind AS (
    SELECT o.oprcode::oid AS function, format('operator %I.%s', n.nspname, o.oprname) AS what,
           u.on_path AND EXISTS (SELECT FROM pg_operator b WHERE b.oprname = o.oprname
                                 AND b.oprnamespace = 'pg_catalog'::regnamespace) AS shadows
    FROM pg_operator o JOIN usable u ON u.oid = o.oprnamespace JOIN pg_namespace n ON n.oid = u.oid
    WHERE o.oprcode::oid >= 16384
    UNION ALL
    SELECT c.castfunc, format('%scast from %s to %s', CASE c.castcontext WHEN 'i' THEN 'implicit ' ELSE '' END,
                              format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), c.castcontext = 'i'
    FROM pg_cast c WHERE c.castfunc >= 16384
    UNION ALL
    SELECT d.refobjid, format('domain %s', format_type(k.contypid, NULL)), false
    FROM pg_depend d JOIN pg_constraint k ON k.oid = d.objid
    WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_proc'::regclass AND k.contypid <> 0
)
SELECT {_SIGNATURE} AS routine, n.nspname::text AS schema, p.proname::text AS name, {_GRANT},
       coalesce(g.definer, p.prosecdef) AS definer, l.lanname::text AS language,
       coalesce(g.trusted, l.lanpltrusted) AS trusted,
       p.provolatile::text AS volatility, coalesce(e.extname::text, '') AS extension,
       coalesce(u.on_path, false) AND EXISTS (SELECT FROM pg_proc b WHERE b.proname = p.proname
           AND b.pronamespace = 'pg_catalog'::regnamespace) OR coalesce(h.shadows, false) AS shadows,
       coalesce(h.behind, '{{}}') AS behind, {_BEYOND} AS beyond
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN usable u ON u.oid = p.pronamespace
LEFT JOIN LATERAL ( -- an aggregate runs its parts, which its caller needs no right to execute
    SELECT bool_or(f.prosecdef) AS definer, bool_and(fl.lanpltrusted OR f.oid < 16384) AS trusted
    FROM pg_aggregate a
    JOIN pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
    JOIN pg_language fl ON fl.oid = f.prolang
    WHERE a.aggfnoid = p.oid) g ON true
LEFT JOIN pg_depend x ON x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = x.refobjid
LEFT JOIN LATERAL (SELECT array_agg(DISTINCT what) AS behind, bool_or(shadows) AS shadows
                   FROM behind WHERE function = p.oid) h ON true,
{_ACL}
WHERE p.oid >= 16384 AND n.nspname !~ '^pg_temp' AND a.grantee = ANY ($1::oid[]) AND a.grantee <> p.proowner
  AND (u.oid IS NOT NULL OR h.behind IS NOT NULL)
  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
ORDER BY 1
"""

_WRITING = "^(pg_(try_)?advisory_|lo_|lowrite$|pg_logical_emit_message$|pg_notify$|pg_export_snapshot$)"
_HARMLESS = "^(pg_advisory_unlock_all|lo_get|loread|lo_close|lo_lseek|lo_lseek64|lo_tell|lo_tell64)$"

_BUILTIN = f"""
SELECT {_SIGNATURE} AS routine, {_GRANT}, p.proname::text AS name, {_BEYOND} AS beyond
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, {_ACL}
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND p.oid < 16384
  AND a.grantee = ANY ($1::oid[]) AND a.grantee <> p.proowner
  AND (p.proname ~ '{_WRITING}' AND p.proname !~ '{_HARMLESS}' OR {_BEYOND})
ORDER BY 1
"""


class Routine(NamedTuple):
    """A function that is not built in, and one grant of EXECUTE on it."""

    routine: str
    schema: str
    name: str
    grantee: int
    grantor: str
    owner: str
    grantable: bool
    definer: bool
    language: str
    trusted: bool
    volatility: str
    extension: str
    shadows: bool  # the server can choose it where a statement names a built-in function or operator
    behind: list[str]  # operators, casts and domains that run it
    beyond: bool  # its extension granted it to nobody

    @property
    def grant(self) -> Privilege:
        return Privilege("ROUTINE", self.routine, "EXECUTE", self.grantee, self.grantor, self.owner, self.grantable)


class Builtin(NamedTuple):
    routine: str
    grantee: int
    grantor: str
    owner: str
    grantable: bool
    name: str
    beyond: bool

    @property
    def grant(self) -> Privilege:
        return Privilege("ROUTINE", self.routine, "EXECUTE", self.grantee, self.grantor, self.owner, self.grantable)


# Extensions whose functions connect to other systems or read files.
_OUTREACH = frozenset(
    "dblink file_fdw postgres_fdw adminpack http pg_net plproxy pg_background pg_cron pg_tle aws_s3 aws_lambda "
    "azure_storage google_ml_integration".split()
)
_TEXT = re.compile(r"[^(]*\b(connectby|crosstab[^(]*|xpath_table)\(")

# reference -> severity, message, why
_MEANING = {
    "security-definer": (
        Severity.DANGER, "it may execute functions that run with their owner's rights (SECURITY DEFINER)",
        "They can do whatever their owner may do, for any caller.",
    ),
    "untrusted-language": (
        Severity.DANGER, "it may execute functions of untrusted languages",
        "They run with the rights of the server process: files, network, memory.",
    ),
    "outreach": (
        Severity.DANGER, "it may execute functions that reach out of the database",
        "A read-only transaction does not restrict what they do elsewhere, and the end of a window does not stop it.",
    ),
    "overload": (
        Severity.DANGER, "it may execute functions that can replace built-in ones",
        "A built-in function or operator has the same name, or a cast is implicit: the types decide which one runs.",
    ),
    "extension-restricted": (
        Severity.WARNING, "it may execute functions that their extension grants to nobody",
        "The extension's authors reserve them for administrators.",
    ),
    "runs-text": (
        Severity.WARNING, "it may execute functions that run SQL given as text",
        "No rule judges that text.",
    ),
    "hidden-function": (
        Severity.WARNING, "it may execute functions through operators, casts and domains",
        "They run although the statement does not name them.",
    ),
    "volatile-function": (
        Severity.WARNING, "it may execute functions that may write",
        "VOLATILE functions run with the login role's rights, and the statement does not show what they do.",
    ),
    "own-function": (
        Severity.NOTE, "it may execute functions that belong to this database",
        "The rules refuse every one that no policy names.",
    ),
}  # fmt: skip


def classify(routine: Routine) -> str | None:
    """The reference under which a function is reported; None for a harmless one."""
    own = not routine.extension
    if routine.definer:
        return "security-definer"
    if not routine.trusted and (own or routine.language not in ("c", "internal")):
        return "untrusted-language"
    if routine.extension in _OUTREACH:
        return "outreach"
    if routine.shadows and own:
        return "overload"
    if routine.beyond:
        return "extension-restricted"
    if not own and _TEXT.match(routine.routine):
        return "runs-text"
    if not own:
        return None
    if routine.behind:
        return "hidden-function"
    return "volatile-function" if routine.volatility == "v" else "own-function"


def _functions(rows: Sequence[Routine], subject: Subject) -> Iterator[Finding]:
    by_reference: dict[str | None, list[Routine]] = {}
    named = [row for row in rows if any(each.match((row.schema, row.name), lenient=False) for each in subject.named)]
    yield from _named(named)
    for row in rows:
        if row not in named:
            by_reference.setdefault(classify(row), []).append(row)
    for reference, (severity, message, why) in _MEANING.items():
        if found := by_reference.get(reference):
            yield Finding(
                severity=severity,
                reference=reference,
                message=message,
                why=why,
                objects=tuple(dict.fromkeys(_described(row) for row in found)),
                fix=subject.revoke(row.grant for row in found),
            )


def _named(rows: Sequence[Routine]) -> Iterator[Finding]:
    """Functions that a policy names: agents are meant to call them."""
    powerful = [row for row in rows if classify(row) in ("security-definer", "untrusted-language", "outreach")]
    for severity, why, found in (
        (Severity.WARNING, "They can do more than the login role may. Only their own code limits them.", powerful),
        (Severity.NOTE, "They run with the login role's rights.", [row for row in rows if row not in powerful]),
    ):
        if found:
            yield Finding(
                severity=severity,
                reference="named-function",
                message="policies of this connection name functions that it may execute",
                why=why,
                objects=tuple(dict.fromkeys(_described(row) for row in found)),
                advice="Review them as you review the policy, and again after each change.",
            )


def _described(row: Routine) -> str:
    behind = f", behind {', '.join(row.behind)}" if row.behind else ""
    return row.routine + (f" of extension {row.extension}" if row.extension else "") + behind


# reference -> test on the name, severity, message, why
_BUILTINS = (
    ("large-object-functions", ("lo_", "lowrite"), Severity.WARNING, "it may make and change large objects",
     "Before PostgreSQL 16 a read-only transaction does not prevent that: data can be stored in them."),
    ("advisory-locks", ("pg_advisory", "pg_try_advisory"), Severity.WARNING, "it may take advisory locks",
     "Applications wait for such locks; a session that holds one blocks them."),
    ("write-ahead-log-messages", ("pg_logical_emit_message",), Severity.WARNING, "it may write messages to the WAL",
     "A read-only transaction does not prevent that, and consumers of logical replication read them."),
    ("notifications", ("pg_notify",), Severity.NOTE, "it may send notifications by function",
     "Applications that LISTEN act on them."),
    ("snapshots", ("pg_export_snapshot",), Severity.NOTE, "it may export snapshots",
     "An agent does not need it."),
)  # fmt: skip


def _builtin(rows: Sequence[Builtin], subject: Subject) -> Iterator[Finding]:
    beyond = [row for row in rows if row.beyond]
    if beyond:
        yield Finding(
            severity=Severity.DANGER,
            reference="server-functions",
            message="it may execute built-in functions that PostgreSQL reserves for superusers",
            why="They read files, change the server's state, or show what other sessions do.",
            objects=tuple(dict.fromkeys(row.routine for row in beyond)),
            fix=subject.revoke(row.grant for row in beyond),
        )
    for reference, prefixes, severity, message, why in _BUILTINS:
        found = [row for row in rows if not row.beyond and row.name.startswith(prefixes)]
        if found:
            yield Finding(
                severity=severity,
                reference=reference,
                message=message,
                why=why,
                objects=tuple(dict.fromkeys(row.routine for row in found)),
                fix=subject.revoke(row.grant for row in found),
            )


FUNCTIONS = Check("functions, operators, casts and domains", _FUNCTIONS, Routine, _functions)
BUILTIN = Check("built-in functions", _BUILTIN, Builtin, _builtin)
