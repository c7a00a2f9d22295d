"""Notes on entries of `allow` that name extensions and open less on a server than they seem to. Pure.

For an extension that is not on pgjit's list, the catalog's facts propose functions. They prove nothing: the catalog
does not show what C code does with a text. A person has to review the functions and name them under `functions`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pgjit.policy.extensions import extension_of, is_current, known_extensions
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog, Function

__all__ = ["candidates", "extension_notes"]

_MOST = 40  # names in one line
_TEXTUAL = frozenset({"text", "name", "bytea", "character varying"})


def extension_notes(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """One line for each extension, with the place of its entry."""
    for entry in policy.statements.allow:
        for name in sorted(entry.extensions):
            if note := _note(name, catalog):
                yield f"{entry.place}: `extensions` names `{name}`{note}"


def _note(name: str, catalog: Catalog) -> str | None:
    version = catalog.extensions.get(name)
    if version is None:
        near = difflib.get_close_matches(name, {*catalog.extensions, *known_extensions()}, n=1)
        meant = f"; did you mean `{near[0]}`?" if near and near[0] != name else ""
        return f", which the server does not have{meant}"
    known = extension_of(name)
    if known is None:
        return f", which pgjit does not know: it opens nothing. {_proposal(name, catalog)}"
    if known.closed:
        return f", of which nothing is opened: {known.why}"
    if not is_current(known, version):
        return f" {version}, which opens nothing: {known.checked} was looked through. {_proposal(name, catalog)}"
    return None


def _proposal(name: str, catalog: Catalog) -> str:
    plain, textual = candidates(name, catalog)
    sentences = [f"Its functions that by the catalog only compute or read: {_listed(plain)}."] if plain else []
    if textual:
        sentences.append(f"Those written in C that take text, which they might run or open: {_listed(textual)}.")
    sentences.append("Review them, and name them under `functions`." if sentences else "It has no candidates.")
    return " ".join(sentences)


def candidates(name: str, catalog: Catalog) -> tuple[list[str], list[str]]:
    """Functions that only compute or read by the catalog's facts, and separately those in C that take text."""
    plain: list[str] = []
    textual: list[str] = []
    for schema, names in sorted(catalog.functions.items()):
        for own, every in sorted(names.items()):
            some = [one for one in every if one.extension == name]
            if some and len(some) == len(every) and all(one.computes for one in some):
                (textual if any(_takes_text(one) for one in some) else plain).append(f"{schema}.{own}")
    return plain, textual


def _takes_text(function: Function) -> bool:
    return function.language == "c" and not _TEXTUAL.isdisjoint(function.arguments)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(f"`{name}`" for name in names[:_MOST]) + more
