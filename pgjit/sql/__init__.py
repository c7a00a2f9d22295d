"""SQL text to facts: what a statement is, and which objects of a catalog it references.

This room decides nothing about permission. It parses with PostgreSQL's own parser, walks the syntax tree once, and
resolves names as PostgreSQL's parse analysis would. If something is not certain, it reports all that it may be.

Words:
- Message: all statements of one Query or Parse message.
- Statement: one statement and the facts about it: its kind, its functions, relations, types and settings as written.
- Shape of a text: the text without its plain constants (`constants.py`); `shape/` is about that of a statement.
- Withheld constant: one that nothing may read, so that no decision depends on it (`withheld.py`).
- Certain value: a constant or a parameter that can only belong to one column (`value_columns.py`).
- Catalog: a snapshot of a server's system catalog, as one login role sees it.
- ReferencedObjects: the result of resolving a statement in a catalog.
- ResolutionFault: a name that the catalog does not have, or whose meaning is not certain.

A reader starts in `parse.py`: text in, a Message out. Then `statement.py` (the facts), `walk.py` (names in a tree),
`resolve/resolve.py` (names to objects) and `referenced.py` (its result).

The rooms, from left to right: `guards/` checks text before it is parsed; `scopes/` reads query levels and references
from the tree; `shape/` reads depth, conditions and LIMITs from the tree; `resolve/` looks names up in a catalog.

INVARIANT: only `parse.py` imports pglast, and no syntax tree leaves this room.

It does not know policies, rules, identities, the wire protocol, or any connection: `pgjit.server` reads the catalog.
"""
