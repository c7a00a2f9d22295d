"""Kept results, read back: the line that a record refers to, and whether it is the one that was written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from pgjit.audit.results.result_files import RESULTS
from pgjit.audit.segments.journal_place import JournalPlace

__all__ = ["ResultFault", "read_result", "result_line"]

_NAME = re.compile(r"[0-9]{20}" + re.escape(RESULTS) + r"\Z")


class ResultFault(ValueError):
    """The result is not there, or is another one; the text says which."""


def result_line(places: Iterable[JournalPlace], reference: Mapping[str, Any]) -> bytes:
    """The line in the first of the places that has its file. Raises ResultFault and OSError."""
    name = reference.get("file")
    offset, size = reference.get("offset"), reference.get("bytes")
    if not (isinstance(name, str) and _NAME.match(name) and isinstance(offset, int) and isinstance(size, int)):
        raise ResultFault("it has no place")
    line = next((found for place in places if (found := _part(place, name, offset, size)) is not None), None)
    if line is None:
        raise ResultFault(f"{name} is not there")
    if len(line) != size or hashlib.sha256(line).hexdigest() != reference.get("sha256"):
        raise ResultFault(f"{name} has other bytes at {offset} than were written")
    return line


def _part(place: JournalPlace, name: str, offset: int, size: int) -> bytes | None:
    try:
        with (place / name).open("rb") if isinstance(place, Path) else place.open(name) as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return None


def read_result(places: Iterable[JournalPlace], reference: Mapping[str, Any]) -> dict[str, Any]:
    """The result: `execution`, `columns` and `rows`. Raises ResultFault and OSError."""
    result: dict[str, Any] = orjson.loads(result_line(places, reference))
    return result
