"""A part of a list that is too long for one page: which items it has, and where the parts beside it begin. Pure.

Decides what counts as a beginning in an address. What is no such number is the first part: nobody types one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = ["ListPart", "list_part"]

T = TypeVar("T")
_MOST_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class ListPart(Generic[T]):
    """`begin`: the number of the first of `items`, from 1. `earlier`, `later`: those of the parts beside it."""

    items: Sequence[T]
    begin: int
    earlier: int | None
    later: int | None


def list_part(whole: Sequence[T], begin: str, most: int) -> ListPart[T]:
    """`begin`: as the address has it. `most`: items of a part."""
    is_number = begin.isascii() and begin.isdigit() and len(begin) <= _MOST_DIGITS
    first = max(1, int(begin)) if is_number else 1
    following = first + most
    return ListPart(
        whole[first - 1 : following - 1],
        first,
        max(first - most, 1) if first > 1 else None,
        following if following <= len(whole) else None,
    )
