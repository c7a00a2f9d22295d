"""What the session's messages say of a prepared statement: its parameters' types, its result. For the records."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

__all__ = ["MOST_TYPES", "ParameterTypes"]

MOST_TYPES = 256
"""The types of this many parameters are kept: a session may hold 10,000 prepared statements."""


_FEW = 16  # up to so many are kept as a tuple, which every execution has


class ParameterTypes:
    """The object ids of the types: from the Parse, then from the server's ParameterDescription. 0: not known."""

    __slots__ = ("_few", "_many", "columns")

    def __init__(self) -> None:
        self._few: tuple[int, ...] = ()
        self._many: array[int] | None = None
        self.columns: bytes | None = None  # the body of the RowDescription, under `record: results`

    def note(self, oids: Sequence[int]) -> None:
        few = len(oids) <= _FEW
        self._few = tuple(oids) if few else ()
        self._many = None if few else array("I", oids[:MOST_TYPES])

    @property
    def known(self) -> tuple[int, ...]:
        return self._few if self._many is None else tuple(self._many)

    def __iter__(self) -> Iterator[int]:
        return iter(self.known)
