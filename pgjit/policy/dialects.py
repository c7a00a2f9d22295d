"""Hints for names and syntax of other database systems: how PostgreSQL writes the same. Pure.

The list is `dialects.yaml`. It decides nothing: such statements are refused, as PostgreSQL itself refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import yaml

from pgjit.sql.referenced import ResolutionFault

__all__ = ["REWRITES", "dialect_hint", "function_hint", "rewrites", "setting_hint", "syntax_hint"]

_SORTS = {
    "unknown-column": "columns",
    "unknown-function": "functions",
    "unknown-operator": "operators",
    "unknown-relation": "relations",
    "unknown-type": "types",
}
REWRITES = (*_SORTS.values(), "settings", "syntax")
_SEARCHED = 4_000  # characters of a text that does not parse


@cache
def rewrites() -> Mapping[str, Mapping[str, str]]:
    text = (files("pgjit.policy") / "dialects.yaml").read_text("utf-8")
    written = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both of them are safe
    return {sort: {str(name): str(how) for name, how in written[sort].items()} for sort in REWRITES}


@cache
def _syntax() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(text, re.IGNORECASE), how) for text, how in rewrites()["syntax"].items())


def _hint(how: str) -> str:
    return f"In PostgreSQL it is written like `{how}`."


def dialect_hint(faults: Iterable[ResolutionFault]) -> str | None:
    """The hint for the first unknown name that another system has. Functions first: an unknown argument, such as a
    unit of time, is often part of a call that PostgreSQL does not have."""
    every = [fault for fault in faults if fault.kind in _SORTS and not fault.not_in_from]
    for fault in sorted(every, key=lambda each: each.kind != "unknown-function"):
        known = rewrites()[_SORTS[fault.kind]]
        how = known.get(".".join(fault.name)) or known.get(fault.name[-1] if fault.name else "")
        if how is not None:
            return _hint(how)
    return None


def function_hint(name: str) -> str | None:
    how = rewrites()["functions"].get(name)
    return None if how is None else _hint(how)


def setting_hint(name: str) -> str | None:
    how = rewrites()["settings"].get(name)
    return None if how is None else _hint(how)


def syntax_hint(text: str) -> str | None:
    """The hint for a text that does not parse."""
    start = text[:_SEARCHED]
    return next((_hint(how) for pattern, how in _syntax() if pattern.search(start)), None)
