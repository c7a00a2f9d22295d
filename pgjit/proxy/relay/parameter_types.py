"""The types of a prepared statement's parameters, as far as the session's messages name them. For the records."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

__all__ = ["MOST_TYPES", "ParameterTypes"]

MOST_TYPES = 256
"""The types of this many parameters are kept: a session may hold 10,000 prepared statements."""


class ParameterTypes:
    """The object ids of the types: from the Parse, then from the server's ParameterDescription. 0: not known."""

    __slots__ = ("_oids",)

    def __init__(self) -> None:
        self._oids = array("I")

    def note(self, oids: Sequence[int]) -> None:
        self._oids = array("I", oids[:MOST_TYPES])

    def __iter__(self) -> Iterator[int]:
        return iter(self._oids)
