"""A catalog in parts, for another process: packing the whole of a large one at once would hold up the event loop.

Decides how large a part is. What is in a catalog is `pgjit/sql/catalog.py`'s.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pgjit.sql.catalog import Catalog

__all__ = ["packed", "unpacked"]

_AT_ONCE = 100
"""Relations, or names of functions, in one part: some milliseconds' work."""


def packed(catalog: Catalog) -> Iterator[bytes]:
    """Each part is made when it is asked for."""
    for field in dataclasses.fields(catalog):
        yield from _parts((field.name,), getattr(catalog, field.name))


def _parts(path: tuple[str, ...], value: Any) -> Iterator[bytes]:
    if not isinstance(value, dict) or not value:
        yield pickle.dumps((path, value), pickle.HIGHEST_PROTOCOL)
        return
    if len(path) == 1 and all(isinstance(inner, dict) for inner in value.values()):
        for key, inner in value.items():
            yield from _parts((*path, key), inner)
        return
    left = iter(value.items())
    while piece := dict(islice(left, _AT_ONCE)):
        yield pickle.dumps((path, piece), pickle.HIGHEST_PROTOCOL)


def unpacked(parts: Iterable[bytes]) -> Catalog:
    """The catalog again, with all that was worked out of it: nothing is worked out anew."""
    fields: dict[str, Any] = {}
    for part in parts:
        path, value = pickle.loads(part)  # noqa: S301 - from our own parent process
        place = fields
        for key in path[:-1]:
            place = place.setdefault(key, {})
        if isinstance(value, dict):
            place.setdefault(path[-1], {}).update(value)
        else:
            place[path[-1]] = value
    catalog = object.__new__(Catalog)
    for name, value in fields.items():
        object.__setattr__(catalog, name, value)
    return catalog
