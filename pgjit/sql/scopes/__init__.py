"""Which names a statement uses, and where each is visible: the part of parse analysis that needs no catalog.

This room reads the syntax tree and returns values. It decides what hides what: a common table expression hides a
table of its name, the alias of a join hides the items that it joins, an inner query level comes before an outer one.

Words:
- query level: one SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE (QueryLevel).
- FROM item: a relation, subquery, function or join in FROM or USING, or the target of a write (FromItem).
- reference: a column, row or star as written (Reference).
- command relation: a relation that a command names outside of any query, in LOCK, COPY or DDL (CommandRelation).
- value: an expression with its parts, for type inference (Value).

A reader starts in `scopes.py` (the values), then `query_levels.py` (fills them from the tree) and `from_clause.py`.
`command_relations.py` and `updatable_views.py` read commands that are not queries; `json_syntax.py` knows which
functions SQL/JSON syntax calls. `expressions.py` and `statement_values.py` list all expressions of a statement.

All of it is iterative: a client chooses how deep a statement is nested. If the tree leaves a case open, every
possibility is noted.

It does not know the catalog: whether a name exists is found out in `pgjit.sql.resolve`.
"""
