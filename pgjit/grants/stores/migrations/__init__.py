"""The history of the window store's schema, oldest first in `versions/`. Alembic runs it at `open()`."""
