"""The rules, in the order in which their findings are told. A new one takes a row here."""

from __future__ import annotations

from pgjit.policy.rule import Rule
from pgjit.policy.rules import (
    advisory_locks,
    attribute_call,
    cartesian_product,
    catalog_write,
    copy_outside,
    ddl,
    ddl_clause,
    denied,
    exported_snapshots,
    foreign_operator,
    foreign_table,
    foreign_type,
    function_call,
    large_objects,
    limit_required,
    locking_clause,
    own_setting,
    procedural_code,
    secret_catalog,
    select_into,
    sequences,
    session_setting,
    star_on_denied,
    statement_depth,
    statement_kind,
    statement_size,
    statements_per_message,
    transaction_mode,
    unknown_node,
    unlisted_relation,
    unresolved_name,
    where_required,
)

__all__ = ["RULES"]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        statements_per_message.RULE,
        statement_size.RULE,
        statement_depth.RULE,
        statement_kind.RULE,
        ddl.RULE,
        ddl_clause.RULE,
        procedural_code.RULE,
        select_into.RULE,
        locking_clause.RULE,
        transaction_mode.RULE,
        session_setting.RULE,
        own_setting.RULE,
        function_call.RULE,
        attribute_call.RULE,
        advisory_locks.RULE,
        exported_snapshots.RULE,
        sequences.RULE,
        large_objects.RULE,
        secret_catalog.RULE,
        catalog_write.RULE,
        copy_outside.RULE,
        foreign_table.RULE,
        foreign_type.RULE,
        foreign_operator.RULE,
        unknown_node.RULE,
        denied.RULE,
        star_on_denied.RULE,
        unlisted_relation.RULE,
        where_required.RULE,
        limit_required.RULE,
        cartesian_product.RULE,
        unresolved_name.RULE,
    )
}
