"""The words that policies use for kinds of statements, and which of them each preset allows.

A kind that is not here is refused under every preset but `full`, those that PostgreSQL will invent included.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.policy.access import Access

__all__ = ["DDL", "KINDS", "PROCEDURAL", "READING", "WRITES", "WRITING", "preset_kinds", "words_of"]

READING = frozenset({
    "select", "explain", "explain-analyze", "show", "set", "transaction", "declare", "fetch", "close", "prepare",
    "execute", "deallocate", "discard", "unlisten", "copy-out",
})  # fmt: skip
WRITES = frozenset({"insert", "update", "delete", "merge", "copy-in"})
WRITING = READING | WRITES
PROCEDURAL = frozenset({"do", "call"})

DDL = frozenset(
    """
    alter-collation alter-database alter-database-refresh-coll alter-database-set alter-default-privileges
    alter-domain alter-enum alter-event-trig alter-extension alter-extension-contents alter-fdw
    alter-foreign-server alter-function alter-object-depends alter-object-schema alter-op-family alter-operator
    alter-owner alter-policy alter-publication alter-role alter-role-set alter-sequence alter-stats
    alter-subscription alter-table alter-table-move-all alter-table-space-options alter-t-s-configuration
    alter-t-s-dictionary alter-type alter-user-mapping comment composite-type create-am create-cast
    create-conversion create-database create-domain create-enum create-event-trig create-extension create-fdw
    create-foreign-server create-foreign-table create-function create-index create-op-class create-op-family
    create-p-lang create-policy create-publication create-range create-role create-rule create-schema
    create-sequence create-stats create-subscription create-table create-table-as create-table-space
    create-transform create-trigger create-user-mapping create-view define drop drop-database drop-owned
    drop-role drop-subscription drop-table-space drop-user-mapping grant grant-role import-foreign-schema
    reassign-owned refresh-materialized-view rename replica-identity sec-label truncate
""".split()
)
"""What defines or changes objects, or who may use them."""

_OTHER = frozenset({
    "lock", "listen", "notify", "vacuum", "cluster", "reindex", "checkpoint", "load", "alter-system",
    "constraints-set",
})  # fmt: skip

KINDS: dict[str, frozenset[str]] = {
    **{kind: frozenset({kind}) for kind in sorted(WRITING | PROCEDURAL | _OTHER | DDL)},
    "explain": frozenset({"explain", "explain-analyze"}),
    "cursor": frozenset({"declare", "fetch", "close"}),
    "prepare": frozenset({"prepare", "execute", "deallocate"}),
    "ddl": DDL,
}
"""What a word in `kinds` means. `ddl` stands for every kind that defines or changes an object."""


def preset_kinds(access: Access) -> frozenset[str]:
    """The kinds that a preset allows. `full` asks for none."""
    return WRITING if access is Access.READ_WRITE else READING


def words_of(words: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(KINDS[word] for word in words))
