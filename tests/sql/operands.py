"""Statements by the product of two lists: values of types that are cast or checked, and places where one may stand.

A place is a format: the last `{}` is what stands in FROM, the others are the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["statements"]

_FOLDER = Path(__file__).parent.parent / "fixtures" / "casts"


def statements() -> Iterator[str]:
    places = (_FOLDER / "places.txt").read_text("utf-8").splitlines()
    for line in (_FOLDER / "values.txt").read_text("utf-8").splitlines():
        value, source = line.split("\t")
        for place in places:
            yield place.format(*[value] * (place.count("{}") - 1 - place.count("{{}}")), source)
