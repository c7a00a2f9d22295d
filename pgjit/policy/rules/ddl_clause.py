"""Clauses of statements that define objects.

Where a policy allows DDL, LOCK, VACUUM and the like, their clauses must be on a list. These are not on it:

- CASCADE
- changes of owners, schemas, row level security and inheritance
- enabling or disabling triggers and rules
- temporary objects, SET UNLOGGED, unknown storage parameters
- objects in system schemas
- ALTER INDEX and the like for an object of another kind

If a policy allows kinds for named relations only, a new name needs the kind that creates such a relation: ALTER TABLE
... RENAME TO needs `create-table` for the new name. A statement that does not name its relations is refused where
only some relations are allowed.

Why: CASCADE drops objects that the statement does not name. A change of owner, row security or triggers changes what
others may do. A temporary table hides the real table of its name. An unlogged table is empty after a crash.

Instead: name every object, and drop dependent objects first. Leave owners, schemas and row security to a migration
under `access: full`. Use tables in a schema of your own in place of temporary ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.kinds import SEEN
from pgjit.policy.match import find_permission_for_kind, find_permission_for_relation, is_narrowed
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

_VALUES: dict[str, str] = {
    "behavior": "DROP_RESTRICT",
    "contype": """
        CONSTR_ATTR_DEFERRABLE CONSTR_ATTR_DEFERRED CONSTR_ATTR_IMMEDIATE CONSTR_ATTR_NOT_DEFERRABLE CONSTR_CHECK
        CONSTR_DEFAULT CONSTR_EXCLUSION CONSTR_FOREIGN CONSTR_GENERATED CONSTR_IDENTITY CONSTR_NOTNULL CONSTR_NULL
        CONSTR_PRIMARY CONSTR_UNIQUE
    """,
    "defname": """
        analyze as autosummarize autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_enabled
        autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit autovacuum_vacuum_insert_scale_factor
        autovacuum_vacuum_insert_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_threshold buffering
        buffer_usage_limit cache concurrently cycle deduplicate_items ef_construction fastupdate fillfactor freeze
        full gin_pending_list_limit increment index_cleanup lists m maxvalue minvalue n_distinct n_distinct_inherited
        pages_per_range parallel parallel_workers process_main process_toast restart security_barrier
        security_invoker skip_locked start toast_tuple_target truncate vacuum_index_cleanup vacuum_truncate verbose
    """,
    "onCommit": "ONCOMMIT_NOOP",
    "oncommit": "ONCOMMIT_NOOP",
    "relpersistence": "p u",
    "subtype": """
        AT_AddColumn AT_AddConstraint AT_AddIdentity AT_AlterColumnType AT_AlterConstraint AT_AttachPartition
        AT_ColumnDefault AT_DetachPartition AT_DetachPartitionFinalize AT_DropColumn AT_DropConstraint
        AT_DropExpression AT_DropIdentity AT_DropNotNull AT_ResetOptions AT_ResetRelOptions AT_SetCompression
        AT_SetExpression AT_SetIdentity AT_SetLogged AT_SetNotNull AT_SetOptions AT_SetRelOptions AT_SetStatistics
        AT_SetStorage AT_ValidateConstraint
    """,
}
_LISTED = frozenset(f"{word}={value}" for word, values in _VALUES.items() for value in values.split())
_ALTERED = {  # ALTER TABLE and the like also rename and change objects of other kinds
    "alter-index": "", "alter-materialized-view": "m", "alter-sequence": "S", "alter-table": "rpf", "alter-view": "v",
}  # fmt: skip
_WRITTEN = {"behavior=DROP_CASCADE": "CASCADE", "relpersistence=t": "TEMPORARY"}


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    if SEEN.isdisjoint((statement.kind, *statement.inner)) or find_permission_for_kind(terms, statement.kind) is None:
        return
    for clause in sorted(statement.clauses - _LISTED):
        written = _WRITTEN.get(clause) or clause.partition("=")[2].removeprefix("AT_")
        yield _violation(statement, f"`{written}` is not allowed in a statement that defines objects", None)
    schemas = {name[-2] for name in statement.defined if len(name) > 1}
    schemas |= {"pg_catalog" for name in statement.defined if len(name) == 1 and name[0].startswith("pg_")}
    if referenced is not None:
        schemas |= {each.schema for each in referenced.relations if each.action in ("define", "lock") and each.schema}
    for schema in sorted(schemas):
        if schema.startswith("pg_") or schema == "information_schema":
            yield _violation(statement, f"no object may be defined in schema `{schema}`", None)
    kinds = _altered(statement.kind)
    for relation in referenced.relations if referenced is not None else ():
        if relation.via == "named" and relation.action == "define" and relation.kind not in kinds:
            named = statement.kind.replace("-", " ").upper()
            yield _violation(
                statement, f"`{relation.schema}.{relation.name}` is not an object that {named} is for",
                "Use the command for objects of its kind.",
            )  # fmt: skip
    yield from _renamed(statement, terms, referenced)
    if statement.kind in SEEN and not statement.defined and is_narrowed(terms, statement.kind):
        yield _violation(
            statement, "the statement names no relation, and only some are allowed",
            "The policy allows this for the relations that it names: name one of them.",
        )  # fmt: skip


def _renamed(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None
) -> Iterator[Violation]:
    """Renaming creates a name: if only some relations are allowed, creating one of the new name must be allowed."""
    new = {use.name[-1] for use in statement.scopes.command_relations if use.same_schema_as}
    made = statement.kind.replace("alter-", "create-")
    if not new or not is_narrowed(terms, statement.kind):
        return
    for relation in referenced.relations if referenced is not None else ():
        given = relation.name in new and relation.kind is None and relation.action == "define"
        if given and find_permission_for_relation(terms, frozenset({made}), relation) is None:
            yield _violation(
                statement, f"the name `{relation.name}` may not be given",
                f"Renaming needs the right to create under the new name: `{made}` for that name.",
            )  # fmt: skip


def _altered(kind: str) -> tuple[str | None, ...]:
    """The kinds of relations that a command may change. None: a relation that the catalog does not have."""
    return (None, *_ALTERED.get(kind, "rpfvmS"))


def _violation(statement: Statement, message: str, hint: str | None) -> Violation:
    return Violation(
        rule="ddl-clause",
        message=message,
        detail="The clauses of such statements must be on a list, and this one is not.",
        hint=hint or "Leave it out, and name every object, in a schema of your own.",
        position=statement.position + 1,
        statement=statement.index,
        objects=STATEMENT,
    )


RULE = Rule("ddl-clause", __doc__, _check)
