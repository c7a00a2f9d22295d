"""The rules: each checks one thing in a statement, in a file of its own.

This room decides which rules there are, and the order in which their violations are listed. The client receives the
first violation as its error. The name of a rule is the reference of its errors, the name of its file, of its page in
`docs/rules/` and of its cases in `tests/policy/rules/`.

Words:

- *check*: the function of a rule. It takes a statement's facts, the policy's terms and the referenced objects, and
  yields a violation for everything that it refuses.
- *referenced objects*: what the names in the statement resolve to. None where the policy does not need them.
- *passages*: where a rule reports the objects that it lets pass because of an entry. None in a live judgement.
- *on*: the presets under which a rule is applied. *switch*: the presets under which a policy may change that.
- *options*: what a policy may say about a rule under `rules`.

A reader starts with `select_into.py`, the shortest rule, then `denied.py`. The docstring of each file is its page:
what the rule is about, `Why:`, and `Instead:`. A new rule needs a row in `RULES`.

INVARIANT: rules are independent. None can allow what another refuses, and one more rule can only refuse more.

Rules do not know who asks, what ran before, or the syntax tree.
"""

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
    secret_setting,
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
        secret_setting.RULE,
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
