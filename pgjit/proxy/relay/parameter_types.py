"""What the session's messages say of a prepared statement: its parameters' types, its result. For the records."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

__all__ = ["MOST_TYPES", "ParameterTypes"]

MOST_TYPES = 256
"""The types of this many parameters are kept: a session may hold 10,000 prepared statements."""


_FEW = 16  # so many are kept as a tuple too, as every execution has them


class ParameterTypes:
    """The object ids of the types: from the Parse, then from the server's ParameterDescription. 0: not known."""

    __slots__ = ("_few", "_oids", "columns")

    def __init__(self) -> None:
        self._oids = array("I")
        self._few: tuple[int, ...] | None = ()
        self.columns: bytes | None = None  # the body of the RowDescription, under `record: results`

    def note(self, oids: Sequence[int]) -> None:
        self._oids = array("I", oids[:MOST_TYPES])
        self._few = tuple(self._oids) if len(oids) <= _FEW else None

    @property
    def known(self) -> tuple[int, ...]:
        return tuple(self._oids) if self._few is None else self._few

    def __iter__(self) -> Iterator[int]:
        return iter(self._oids)
