"""Transfers a catalog to a worker process in small parts: pickling a large one at once would stall the event loop.

Decides the size of a part. `pgjit/sql/catalog.py` defines what a catalog holds.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pgjit.sql.catalog import Catalog

__all__ = ["pack_catalog", "unpack_catalog"]

_PART_ENTRIES = 100
"""Relations, or names of functions, in one part: pickling it takes a few milliseconds."""


def pack_catalog(catalog: Catalog) -> Iterator[bytes]:
    """The pickled parts, each one made on demand."""
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
    entries = iter(value.items())
    while part := dict(islice(entries, _PART_ENTRIES)):
        yield pickle.dumps((path, part), pickle.HIGHEST_PROTOCOL)


def unpack_catalog(parts: Iterable[bytes]) -> Catalog:
    """The catalog, derived fields included: nothing is computed again."""
    fields: dict[str, Any] = {}
    for part in parts:
        path, value = pickle.loads(part)  # noqa: S301 - sent by our parent process
        parent = fields
        for key in path[:-1]:
            parent = parent.setdefault(key, {})
        if isinstance(value, dict):
            parent.setdefault(path[-1], {}).update(value)
        else:
            parent[path[-1]] = value
    catalog = object.__new__(Catalog)
    for name, value in fields.items():
        object.__setattr__(catalog, name, value)
    return catalog
