"""The rules, in the order in which their findings are told. A new one takes a row here."""

from __future__ import annotations

from pgjit.policy.rule import Rule
from pgjit.policy.rules import (
    attribute_call,
    catalog_write,
    copy_outside,
    foreign_operator,
    foreign_type,
    function_call,
    locking_clause,
    own_setting,
    secret_catalog,
    select_into,
    session_setting,
    statement_kind,
    transaction_mode,
    unknown_node,
)

__all__ = ["RULES"]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        statement_kind.RULE,
        select_into.RULE,
        locking_clause.RULE,
        transaction_mode.RULE,
        session_setting.RULE,
        own_setting.RULE,
        function_call.RULE,
        attribute_call.RULE,
        secret_catalog.RULE,
        catalog_write.RULE,
        copy_outside.RULE,
        foreign_type.RULE,
        foreign_operator.RULE,
        unknown_node.RULE,
    )
}
