"""What an entry of `allow` that names extensions opens on a server, as far as that is less than it seems. Pure.

For an extension that is not on the list the catalog's facts propose functions. They are no proof: what C code does
with text is not among them, so that a person looks them through and names them under `functions`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pgjit.policy.extensions import extension_of, is_current, known_extensions
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog, Function

__all__ = ["candidates", "extension_notes"]

_MOST = 40  # names that are proposed in one line
_TEXTUAL = frozenset({"text", "name", "bytea", "character varying"})


def extension_notes(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """One line for each, with its place in the policy's file."""
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
    told = [f"Its functions that by the catalog may only compute or read: {_listed(plain)}."] if plain else []
    if textual:
        told.append(f"Those written in C that take text, which they might run or open: {_listed(textual)}.")
    told.append(
        "Look them through, and name them under `functions`." if told else "No function of it is a candidate."
    )
    return " ".join(told)


def candidates(name: str, catalog: Catalog) -> tuple[list[str], list[str]]:
    """Functions whose every signature is one by the catalog's facts; those in C that take text apart."""
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
