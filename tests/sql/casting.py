"""A database whose casts and checks tell that they were called, and statements that lead to them or do not.

`CALLING` are tried on a server: what it calls has to be found. `QUIET` calls nothing there, and nothing may be found.
`WRITING` changes what is there, and is undone.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "BUILTIN_CALLING",
    "BUILTIN_QUIET",
    "BUILTIN_SCHEMA",
    "CALLING",
    "NEWER",
    "QUIET",
    "QUIET_NEWER",
    "SCHEMA",
    "WRITING",
]

_FOLDER = Path(__file__).parent.parent / "fixtures" / "casts"


def _lines(name: str) -> list[str]:
    return (_FOLDER / name).read_text("utf-8").splitlines()


SCHEMA = (_FOLDER / "schema.sql").read_text("utf-8")
CALLING = _lines("calling.txt")
WRITING = _lines("writing.txt")
QUIET = _lines("quiet.txt")
NEWER = _lines("calling-18.txt")
QUIET_NEWER = _lines("quiet-18.txt")

BUILTIN_SCHEMA = (_FOLDER / "builtin-schema.sql").read_text("utf-8")
BUILTIN_CALLING = _lines("builtin-calling.txt")
BUILTIN_QUIET = _lines("builtin-quiet.txt")
