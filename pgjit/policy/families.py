"""Built-in functions that have a rule of their own, and the name of that rule."""

from __future__ import annotations

import re

from pgjit.sql.statement import Name

__all__ = ["LARGE_OBJECTS", "SEQUENCES", "family_of"]

SEQUENCES = frozenset({"nextval", "setval", "currval", "lastval"})
LARGE_OBJECTS = frozenset(
    """
    lo_creat lo_create lo_from_bytea lo_get lo_put lo_open lo_close lo_lseek lo_lseek64 lo_tell lo_tell64
    lo_truncate lo_truncate64 lo_unlink loread lowrite
""".split()
)
"""They exchange data with the client. `lo_import` and `lo_export` use the server's files, and are no part of this."""

_ADVISORY = re.compile(r"pg_(try_)?advisory_((xact_)?lock|unlock)(_shared)?\Z")


def family_of(function: Name) -> str | None:
    """The name of the rule; None for a function that has none of its own."""
    name = function.builtin
    if name is None:
        return None
    if name in SEQUENCES:
        return "sequences"
    if name in LARGE_OBJECTS:
        return "large-objects"
    if name == "pg_export_snapshot":
        return "exported-snapshots"
    return "advisory-locks" if _ADVISORY.match(name) else None
