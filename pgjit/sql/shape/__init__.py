"""How a statement is built: its depth, the conditions of its writes, the LIMITs over its rows, its joins.

This room reads the syntax tree and returns values for rules such as where-required, limit-required, cartesian-product
and statement-depth. It decides what a condition or a LIMIT is worth by how it is written, and permits nothing.

Words:
- shape: all of this about one statement (Shape).
- narrowing: whether the condition of a write selects rows by a column of its target (Narrowing).
- tautology: a condition that is true for every row, such as `id = id`.
- row source: a relation whose rows come to the client, with the LIMITs over it (RowSource).
- cartesian product: items of one FROM clause that no condition joins (Product).

A reader starts in `shape.py` (the values) and `measure.py` (one pass over the tree that calls the others):
`conditions.py` with `tautologies.py` and `narrowing.py` for writes; `row_limits.py` with `aggregates.py` and
`recursion.py` for results; `cartesian_products.py` with `references.py` for joins.

All of it is iterative, and visits each node a bounded number of times.

It does not know the catalog: a Narrowing names the columns on which it depends, and the rule knows which of them are
NOT NULL.
"""
