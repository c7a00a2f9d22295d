"""The shape of a statement: how deep it is, what its conditions narrow, what bounds its rows. Values only."""

from __future__ import annotations

from dataclasses import dataclass
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
        """Where any column may be NULL."""
        return self.narrowing.word()


@dataclass(frozen=True, slots=True)
class RowSource:
    """A relation whose rows the statement gives to the client, and how many of them at most."""

    relation: tuple[str, ...]  # its name as written, in its parts
    position: int | None
    limits: tuple[tuple[int, int], ...] = ()
    """The constant LIMITs that hold over it, from the outside inwards, each smaller than the one before: which one it
    is (two relations may be under one), and how many rows it lets through."""
    strict: tuple[tuple[int, int], ...] = ()
    """The same, where a function that is not known may collect rows into its value."""

    @property
    def most(self) -> int | None:
        """None: no constant LIMIT holds over it."""
        return self.limits[-1][1] if self.limits else None


@dataclass(frozen=True, slots=True)
class Product:
    """Items of one FROM that no condition joins."""

    position: int | None
    explicit: bool  # they are only joined by CROSS JOIN, which says that it is meant


@dataclass(frozen=True, slots=True)
class Shape:
    analyze: bool = False  # EXPLAIN ANALYZE: what it explains is run
    depth: int = 0  # levels of the syntax tree
    writes: tuple[WriteShape, ...] = ()
    sources: tuple[RowSource, ...] = ()
    products: tuple[Product, ...] = ()


SHAPELESS = Shape()
