"""Names to objects: resolves a statement in a catalog, as PostgreSQL's parse analysis and rewriter would.

This room decides which relations, columns, functions, operators and types a statement references, also through views,
partitions, casts and domains. If several objects may be meant, all of them are listed.

Words:
- name scope: the columns and aliases that are visible in one query level (NameScope).
- range table entry: a relation in FROM, or a target (RangeTableEntry).
- expansion: a view to the relations that it reads, a table to its parents and partitions (ExpandedRelation).
- coercion: a cast or a domain check that the server applies where the statement does not name it.
- step budget: how much work the names of one message may take (StepBudget).

A reader starts in `resolve.py`. `columns.py` resolves column references in the scopes of `name_scopes.py`;
`routines.py` resolves functions, operators and types; `object_collector.py` gathers the result.

- Where is a view seen through? `relation_expansion.py`.
- Where is the function of an implicit cast found? `coercions.py` finds the places, `casts.py` the function,
  `overloads.py` the casts of a call; `type_inference.py` and `reachable_types.py` say which types values may have.
- Where does "Perhaps you meant" come from? `name_suggestions.py`.
- Where is a Catalog built from a server's rows? `catalog_builder.py`.

It does not know policies or a live server, and does no I/O.
"""
