"""Reading the journal: questions in SQL over its segments, answered by DuckDB.

This room decides what people can ask of a journal, and what they get: rows of views, the story of a window, the steps
of a session. It reads files and writes only its own cache; pgjit may write the journal at the same time.

- **view**: `executions` (each joined with its outcome), `windows`, `sessions`, `requests`, `logins`, `records`.
- **piece**: a part of a segment as a table, from which the views are made (`pieces.py`).
- **cache**: the pieces of closed segments as Parquet files, in a folder of the reader (`segment_cache.py`).
- **notice**: why an answer may lack something: a gap, a damaged segment, lines that are no records.
- **journal**: one writer's segments; several are read together, and records are in the order of time.

Start with `reader.py`: it opens journals, makes the cache, creates the views (`views.py`) and locks the engine, so
that a query can read nothing else of the machine. `execution_list.py`, `record_detail.py`, `window_story.py` and
`session_replay.py` ask questions of their own; `user_query.py` runs a person's SELECT and refuses everything else.

It does not know how results are printed (`cli/audit_*.py`), who writes the journal, nor whether it was changed:
`audit/proof/` proves that. DuckDB is imported in functions, because no process that serves sessions needs it.
"""
