"""Names in a policy that the server does not have: a misspelt entry of `deny` denies nothing. Pure.

Decides which names are reported. They are warnings, since the object may be created later.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pgjit.policy.kinds import SEEN
from pgjit.policy.pattern import Pattern, Patterns
from pgjit.policy.policy import Policy
from pgjit.policy.selector import Selector
from pgjit.sql.catalog import Catalog

__all__ = ["absent_names"]

Names = frozenset[tuple[str, ...]]
_SORTS = ("relations", "columns", "functions", "types", "schemas")

_YET_TO_BE = frozenset(kind for kind in SEEN if kind.startswith("create-") or kind.endswith("index"))
"""Kinds for objects that do not exist yet, or for indexes, which the catalog does not hold."""


def absent_names(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """One line for each name, with the place of its entry."""
    known = {sort: _known(sort, catalog) for sort in _SORTS}
    for entry in (*policy.statements.allow, *policy.statements.deny):
        for sort in _SORTS:
            if sort in ("relations", "schemas") and entry.kinds is not None and entry.kinds & _YET_TO_BE:
                continue
            for pattern in _absent(entry, sort, known[sort]):
                near = _near(pattern, known[sort])
                yield f"{entry.place}: `{sort}` names `{pattern.text}`, which the catalog does not have{near}"


def _absent(entry: Selector, sort: str, known: Names) -> Iterator[Pattern]:
    patterns: Patterns | None = getattr(entry, sort)
    for pattern in (*patterns.included, *patterns.excluded) if patterns is not None else ():
        if not any(pattern.matches(name, lenient=False) for name in known):
            yield pattern


def _near(pattern: Pattern, known: Names) -> str:
    """The most similar name, as a question."""
    count = len(pattern.parts)
    near = difflib.get_close_matches(pattern.text, sorted({".".join(name[-count:]) for name in known}), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _known(sort: str, catalog: Catalog) -> Names:
    match sort:
        case "relations":
            return frozenset((schema, name) for schema, names in catalog.relations.items() for name in names)
        case "columns":
            return frozenset(
                (schema, name, column.name)
                for schema, names in catalog.relations.items()
                for name, relation in names.items()
                for column in relation.columns
            )
        case "functions":
            return frozenset((schema, name) for schema, names in catalog.functions.items() for name in names)
        case "types":
            return frozenset((schema, name) for schema, names in catalog.types.items() for name in names)
        case _:
            named = (catalog.relations, catalog.functions, catalog.types, catalog.operators)
            return frozenset((schema,) for schemas in named for schema in schemas)
