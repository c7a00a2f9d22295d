"""The shape of a statement: its depth, its writes and their conditions, the limits of its rows. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pgjit.sql.shape.narrowing import Narrowing

__all__ = ["SHAPELESS", "Product", "RowSource", "Shape", "WriteShape"]


@dataclass(frozen=True, slots=True)
class WriteShape:
    """An UPDATE, DELETE or MERGE, at any depth."""

    kind: str
    position: int | None
    narrowing: Narrowing
    relation: tuple[str, ...] = ()  # its name as written, in its parts

    @property
    def narrowed(self) -> Literal["no", "constant", "yes"]:
        """The result if every column may be NULL."""
        return self.narrowing.word()


@dataclass(frozen=True, slots=True)
class RowSource:
    """A relation whose rows the statement returns to the client, and the most rows of it."""

    relation: tuple[str, ...]  # its name as written, in its parts
    position: int | None
    limits: tuple[tuple[int, int], ...] = ()
    """The constant LIMITs over it, from the outermost inwards, each smaller than the one before: its number (two
    relations may be under the same LIMIT), and the rows that it lets through."""
    strict: tuple[tuple[int, int], ...] = ()
    """The same, if every unknown function is taken for an aggregate that collects rows."""

    @property
    def most(self) -> int | None:
        """None: there is no constant LIMIT over it."""
        return self.limits[-1][1] if self.limits else None


@dataclass(frozen=True, slots=True)
class Product:
    """A cartesian product: items of one FROM clause that no condition joins."""

    position: int | None
    explicit: bool  # written as CROSS JOIN, so it is intended


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as Statement
class Shape:
    analyze: bool = False  # EXPLAIN ANALYZE, which runs the statement
    depth: int = 0  # levels of the syntax tree
    writes: tuple[WriteShape, ...] = ()
    # Few policies look at these: the tree is read for them when they are looked at.
    read_sources: Callable[[], tuple[RowSource, ...]] = field(default=tuple, compare=False, repr=False)
    read_products: Callable[[], tuple[Product, ...]] = field(default=tuple, compare=False, repr=False)

    @property
    def sources(self) -> tuple[RowSource, ...]:
        return self.read_sources()

    @property
    def products(self) -> tuple[Product, ...]:
        return self.read_products()


SHAPELESS = Shape()
