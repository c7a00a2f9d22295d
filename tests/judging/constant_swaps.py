"""Texts of the same shape: other constants of the same classes in the place of those that a text has."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from pgjit.sql.constants import TextShape, shape_of

__all__ = ["VALUES", "class_of", "swapped"]

VALUES: dict[str, tuple[str, ...]] = {
    "s": (
        "''", "'a'", "'x.y'", "'1'", "'on'", "'off'", "'%'", "'.*'", "'pg_authid'", "'pg_catalog.pg_class'", "'role'",
        "'1,2,3'", "'search_path'", "'a b  c'", "'2024-01-31 00:00'", "'(1,2)'", "'{1,2}'", "'999'",
    ),
    "i": ("0", "1", "2", "10", "100", "1000", "65536", "2147483647"),
    "l": ("2147483648", "9999999999", "9223372036854775807"),
    "n": ("0.0", "1.5", "10.0", "123456789.25", "9223372036854775808", "100000000000000000000000000"),
}  # fmt: skip
"""By the class of the constant."""


def class_of(literal: bytes) -> str:
    """As PostgreSQL reads the constant; not how `constants.py` decides it."""
    text = literal.decode()
    if text.startswith("'"):
        return "s"
    if "." in text or int(text) >= 2**63:
        return "n"
    return "i" if int(text) < 2**31 else "l"


def swapped(shape: TextShape, random: Random, kept: Collection[int] = ()) -> bytes:
    """A text of the same shape, in which the constants of the indexes `kept` are the same.

    It may be the text itself: a `'` that ends no constant of the shape would begin one behind another value.
    """
    parts = list(shape.parts)
    for index, literal in enumerate(shape.literals):
        if index not in kept:
            parts[2 * index + 1] = random.choice(VALUES[class_of(literal)]).encode()
    text = b"".join(parts)
    again = shape_of(text)
    return text if again is not None and again.key == shape.key else b"".join(shape.parts)
