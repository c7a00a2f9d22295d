"""The revisions of the store's schema, one file each.

This room decides, for each change of the schema, the statements that make it.

- **revision**: its id, and the id of the revision before it (`down_revision`). The first is `v1`.
- **upgrade**: the statements of the change. There is no downgrade: a store does not forget what was granted.

Start with `v1_initial.py`. A revision that was released is never edited: the next change is the next file.

The room does not know the code that uses the tables: code changes, a revision does not.
"""
