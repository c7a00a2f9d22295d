"""Which similar names a hint may show for an unknown one: never one that the policy denies or does not allow. Pure.

INVARIANT: no hint shows a name that the policy denies, nor an object that could lead to a denied one.
"""

from __future__ import annotations

from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.dialects import function_hint
from pgjit.policy.match import (
    collect_kinds,
    find_denial_of_column,
    find_denial_of_name,
    find_denial_of_relation,
    find_permission_for_column,
    find_permission_for_relation,
    verbs_on_column,
    verbs_on_relation,
)
from pgjit.policy.policy import StatementTerms
from pgjit.sql.referenced import (
    NameSuggestion,
    ReferencedColumn,
    ReferencedObjects,
    ReferencedRelation,
    ResolutionFault,
)
from pgjit.sql.resolve.name_suggestions import similar_names
from pgjit.sql.statement import Statement

__all__ = ["suggested"]


def suggested(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects, fault: ResolutionFault
) -> list[str]:
    """As a statement writes them."""
    match fault.kind:
        case "unknown-column":
            return [
                suggestion.text
                for suggestion in fault.suggestions
                if _column_may(statement, terms, referenced, suggestion)
            ]
        case "unknown-relation":
            return [
                suggestion.text for suggestion in fault.suggestions if _relation_may(statement, terms, suggestion)
            ]
        case "unknown-function" if len(fault.name) == 1 and function_hint(fault.name[0]) is None:
            found = similar_names(fault.name[0], sorted(BUILTIN_FUNCTIONS), cutoff=0.8)
            return [name for name in found if _function_may(statement, terms, name)]
        case _:
            return []


def _column_may(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects, suggestion: NameSuggestion
) -> bool:
    schema, relation, name = suggestion.name[:3]
    column = ReferencedColumn(schema, relation, name, "read")
    verbs = verbs_on_column(statement, column, referenced)
    return (
        (suggestion.standalone or not terms.denies_relations)
        and _relation_may(statement, terms, suggestion._replace(name=(schema, relation)))
        and find_denial_of_column(terms, verbs, column) is None
        and find_permission_for_column(terms, verbs, column) is not None
    )


def _relation_may(statement: Statement, terms: StatementTerms, suggestion: NameSuggestion) -> bool:
    relation = ReferencedRelation(suggestion.name[0], suggestion.name[1], None, "read")
    verbs = verbs_on_relation(statement, relation)
    return (
        (suggestion.standalone or not terms.denies_relations)
        and find_denial_of_relation(terms, verbs, relation) is None
        and find_permission_for_relation(terms, verbs, relation) is not None
    )


def _function_may(statement: Statement, terms: StatementTerms, name: str) -> bool:
    return find_denial_of_name(terms, "functions", ("pg_catalog", name), collect_kinds(statement)) is None
