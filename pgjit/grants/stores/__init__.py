"""The window stores, by the scheme of their URL. A new one takes a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore

__all__ = ["STORES"]

STORES: Mapping[str, Callable[[str], Store]] = {
    "sqlite": SqlStore,
}
