"""The kinds of statements: their names in policies, which of them each preset allows, and which `allow` may add.

A kind that is not listed here is refused under every preset but `full`. That includes kinds that a later PostgreSQL
adds.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.policy.preset import Preset

__all__ = [
    "CALLING", "DDL", "KINDS", "PROCEDURAL", "READING", "SEEN", "UNREAD", "WRITES", "WRITING", "addable_kinds",
    "preset_kinds", "words_of",
]  # fmt: skip

READING = frozenset({
    "select", "explain", "explain-analyze", "show", "set", "transaction", "declare", "fetch", "close", "prepare",
    "execute", "deallocate", "discard", "unlisten", "copy-out",
})  # fmt: skip
WRITES = frozenset({"insert", "update", "delete", "merge", "copy-in"})
WRITING = READING | WRITES
PROCEDURAL = frozenset({"do", "call"})

_OF_OBJECT: dict[str, tuple[str, ...]] = {  # which of CREATE, ALTER, DROP there are of each kind of object
    "create alter drop": (
        "access-method", "aggregate", "collation", "conversion", "database", "domain", "event-trigger", "extension",
        "foreign-data-wrapper", "foreign-table", "function", "index", "language", "materialized-view", "operator",
        "operator-class", "operator-family", "policy", "procedure", "publication", "role", "rule", "schema",
        "sequence", "server", "statistics", "subscription", "table", "tablespace", "text-search-configuration",
        "text-search-dictionary", "text-search-parser", "text-search-template", "trigger", "type", "user-mapping",
        "view",
    ),
    "create drop": ("cast", "transform"),
    "alter drop": ("routine",),
    "alter": ("default-privileges", "large-object"),
    "drop": ("owned",),
}  # fmt: skip
_BY_OBJECT: dict[str, frozenset[str]] = {
    name: frozenset(f"{verb}-{name}" for verb in verbs.split()) | ({"create-table-as"} if name == "table" else set())
    for verbs, names in _OF_OBJECT.items()
    for name in names
}

DDL = frozenset({
    "comment", "grant", "grant-role", "import-foreign-schema", "reassign-owned", "refresh-materialized-view",
    "revoke", "revoke-role", "security-label", "truncate",
}).union(*_BY_OBJECT.values())  # fmt: skip
"""Statements that define or change objects, or rights on them."""

SEEN = frozenset({
    "create-table", "create-table-as", "create-materialized-view", "create-view", "create-index", "create-sequence",
    "alter-table", "alter-view", "alter-materialized-view", "alter-index", "alter-sequence", "drop-table",
    "drop-view", "drop-materialized-view", "drop-index", "drop-sequence", "truncate", "comment",
    "refresh-materialized-view", "lock", "vacuum", "analyze", "reindex", "cluster",
})  # fmt: skip
"""Kinds whose whole syntax is known, and all of whose relations are found. They may be allowed for some relations."""

CALLING = frozenset({"call", "create-function", "create-procedure", "create-trigger", "create-event-trigger"})
"""Kinds that name a function, which has to be allowed as well."""

_SIMPLE = frozenset({"listen", "notify", "checkpoint", "set-constraints"})
_FULL_ONLY = frozenset({"load", "alter-system"})  # they reach past the database, and past the session

UNREAD = (DDL | PROCEDURAL) - SEEN - {"call"}
"""Kinds that are allowed as a whole or not at all: no rule knows which objects they use or what code they leave."""

_UNDER_READ_ONLY = frozenset({"call", "lock", "listen", "notify", "set-constraints"})

KINDS: dict[str, frozenset[str]] = {
    **{kind: frozenset({kind}) for kind in sorted(WRITING | PROCEDURAL | DDL | SEEN | _SIMPLE | _FULL_ONLY)},
    **{f"ddl-{name}": kinds for name, kinds in _BY_OBJECT.items()},
    "explain": frozenset({"explain", "explain-analyze"}),
    "cursor": frozenset({"declare", "fetch", "close"}),
    "prepare": frozenset({"prepare", "execute", "deallocate"}),
    "ddl": DDL,
}
"""What a word in `kinds` means. `ddl-table` stands for CREATE, ALTER and DROP of tables, `ddl` for every kind that
defines or changes an object."""


def preset_kinds(access: Preset) -> frozenset[str]:
    """The kinds that a preset allows. Under `full` kinds are not checked."""
    return WRITING if access is Preset.READ_WRITE else READING


def addable_kinds(access: Preset) -> frozenset[str]:
    """The kinds beyond the preset that an entry of `allow` may add to it.

    Under `read-only`: those that PostgreSQL runs in a read-only transaction, and that cannot end it.
    """
    return _UNDER_READ_ONLY if access is Preset.READ_ONLY else (DDL | PROCEDURAL | SEEN | _SIMPLE)


def words_of(words: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(KINDS[word] for word in words))
