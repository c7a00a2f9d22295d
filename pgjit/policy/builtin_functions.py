"""The built-in functions that any statement may call: `builtin_functions.txt`. Its head explains the list.

A test compares the list with the catalogs of real servers.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["BUILTIN_FUNCTIONS"]

BUILTIN_FUNCTIONS = frozenset(
    line
    for line in (files("pgjit.policy") / "builtin_functions.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
