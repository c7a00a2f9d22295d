"""Catalogs with secrets.

Some system catalogs may not be read at all: `pg_authid`, `pg_shadow`, `pg_largeobject`, `pg_hba_file_rules`,
`pg_ident_file_mappings`, `pg_file_settings`, `pg_config`, `pg_backend_memory_contexts`, `pg_shmem_allocations`, and
the tables of `pg_toast`. In others single columns may not be read: by name, by `*`, by the row as a value, or through
a view. These are the columns:

- Always: `pg_user_mapping.umoptions`, the values of `pg_statistic`, `stxdmcv` and `stxdexpr` of
  `pg_statistic_ext_data`.
- Options and settings, where the login role could see a secret in them: `umoptions` of `pg_user_mappings`,
  `srvoptions`, `ftoptions`, `attfdwoptions`, `fdwoptions`, the views of `information_schema` on them,
  `pg_subscription.subconninfo`; `setting` and `reset_val` of `pg_settings`, `pg_roles.rolconfig`,
  `pg_user.useconfig`, `pg_db_role_setting.setconfig`, `pg_proc.proconfig` and `pg_get_functiondef`. An option counts
  as a secret by its name or by the look of its value; a setting, if `secret-setting` would not show it.
- Values of tables, where the policy keeps any column or table back: `most_common_vals`, `histogram_bounds` and the
  like of `pg_stats`, `pg_stats_ext` and `pg_stats_ext_exprs`. Where it keeps back the very column whose values they
  repeat: `pg_attribute.attmissingval` and `pg_class.relpartbound`.

Without the server's catalog it is not known where secrets are. Then all of these columns are refused.

Why: `pg_read_all_data` gives read access to the password hashes in `pg_authid`. Every role can read the settings of
all others. Statistics hold sampled values of columns.

Instead: name the columns that are needed rather than `*`. The number of distinct values and the share of nulls are in
`pg_stats`; roles without their passwords are in `pg_roles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.match import keeps_back
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules.secret_setting import may_show
from pgjit.policy.secret_columns import FUNCTIONS, INSTEAD, SECRETS, Secret
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.resolve import resolve
from pgjit.sql.statement import Name, Statement

__all__ = ["RULE"]

_NAMES = frozenset(name for _, name in SECRETS)
_WHY = {
    "always": "It holds credentials, or contents of tables that no rule on those tables covers.",
    "found": "It holds an option or a setting that may be a credential: it is on no list of harmless ones.",
    "quoted": "It repeats values of a column that may not be read under this policy.",
    "sampled": "It holds sampled values of columns, and this policy keeps some columns back.",
}
_UNKNOWN = "Without the server's catalog it is not known whether it holds a secret."


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    for relation in statement.relations:
        if _whole(relation):
            found = JudgedObject("relation", relation.parts)
            yield _of_catalog(statement, f"catalog `{relation.text}`", relation, found)
    for each in referenced.relations if referenced is not None else ():
        name = Name((each.schema, each.name), each.position) if each.schema is not None else None
        if name is not None and each.through and _whole(name):
            found = JudgedObject("relation", name.parts, each.position, each.through)
            yield _of_catalog(statement, f"catalog `{each.name}`, behind `{each.through[0]}`,", name, found)
    yield from _columns(statement, terms, referenced)
    yield from _functions(statement, terms, referenced)


def _columns(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None
) -> Iterator[Violation]:
    if referenced is None:
        if not any(relation.parts[-1:] and relation.parts[-1] in _NAMES for relation in statement.relations):
            return
        referenced = resolve(statement, None)
    refused: dict[tuple[str, str], Violation] = {}  # for each relation one, with all secret columns
    renamed = {
        source.name[-1]
        for level in statement.scopes.levels
        for source in level.sources
        if source.columns and source.name
    }
    for column in referenced.columns:
        relation = _known(column.schema, column.relation)
        if relation is None or column.action == "write":
            continue
        secrets = SECRETS[relation]
        hides = column.schema is None and column.relation in renamed  # by a list of other names for its columns
        candidates = secrets if column.column is None or hides else {column.column} & secrets.keys()
        name = next((each for each in candidates if _is_kept(secrets[each], terms, referenced)), None)
        if name is None:
            continue
        found = JudgedObject(
            "column", (column.schema, column.relation, column.column), column.position, column.through, "read"
        )
        if (first := refused.get(relation)) is not None:
            refused[relation] = replace(first, objects=(*first.objects, found))
            continue
        behind = f", behind `{column.through[0]}`," if column.through else ""
        what = f"column `{name}` of catalog `{column.relation}`{behind}"
        refused[relation] = _of_column(statement, what, column.position, secrets[name], referenced, found)
    yield from refused.values()


def _functions(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None
) -> Iterator[Violation]:
    facts = referenced or ReferencedObjects()
    called = {name.builtin: name.position for name in statement.functions}
    called |= dict.fromkeys([*statement.attributes, *statement.columns], None)  # (value).name calls it as well
    for name in FUNCTIONS.keys() & called.keys():
        if _is_kept(FUNCTIONS[name], terms, facts):
            found = JudgedObject("function", ("pg_catalog", name))
            yield _of_column(
                statement, f"the result of function `{name}`", called[name], FUNCTIONS[name], facts, found
            )


def _known(schema: str | None, relation: str) -> tuple[str, str] | None:
    """A relation whose schema is not known may be one of the system."""
    schemas = ("pg_catalog", "information_schema") if schema is None else (schema,)
    return next(((each, relation) for each in schemas if (each, relation) in SECRETS), None)


def _is_kept(secret: Secret, terms: StatementTerms, referenced: ReferencedObjects) -> bool:
    match secret.when:
        case "always":
            return True
        case "sampled":
            return terms.needs_names
        case "quoted":
            if referenced.quotes is None:
                return terms.needs_names
            quotes = [quote for quote in referenced.quotes if quote.place == secret.place]
            return any(keeps_back(terms, quote.relation, quote.column) for quote in quotes)
    if referenced.secrets is None:
        return True
    settings = referenced.secrets.get(secret.place)
    return settings is not None and (not settings or not all(may_show(terms, name) for name in settings))


def _of_catalog(statement: Statement, what: str, name: Name, found: JudgedObject) -> Violation:
    return Violation(
        rule="secret-catalog",
        message=f"{what} may not be read",
        detail=_WHY["always"],
        hint=INSTEAD.get(name.parts[-1], "Read the table that it belongs to, by its own name."),
        position=name.position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


def _of_column(
    statement: Statement,
    what: str,
    position: int | None,
    secret: Secret,
    referenced: ReferencedObjects,
    found: JudgedObject,
) -> Violation:
    unknown = secret.when == "found" and referenced.secrets is None
    named = [] if referenced.secrets is None else referenced.secrets.get(secret.place, ())
    hint = "Leave it out, and name the other columns rather than `*` or the row: they may be read."
    if named:
        hint += f" A policy may let {', '.join(f'`{name}`' for name in named[:3])} be shown, under `settings`."
    return Violation(
        rule="secret-catalog",
        message=f"{what} may not be read",
        detail=_UNKNOWN if unknown else _WHY[secret.when],
        hint=hint,
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


def _whole(relation: Name) -> bool:
    *schemas, name = relation.parts
    schema = schemas[-1] if schemas else None
    if schema is not None and schema.startswith("pg_toast"):
        return True
    return schema in (None, "pg_catalog") and name in INSTEAD


RULE = Rule("secret-catalog", __doc__, _check)
