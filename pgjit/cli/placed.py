"""Splits the text of a fault or warning into fields for JSON output: the place, and the message. Pure."""

from __future__ import annotations

import re

__all__ = ["as_fields"]

_PLACED = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<message>.*)\Z", re.DOTALL)
_FILED = re.compile(r"(?P<file>[^:\n]+\.ya?ml): (?P<message>.*)\Z", re.DOTALL)


def as_fields(fault: str) -> dict[str, object]:
    """`file`, `line`, `column` (from 1) and `message`. None for each part of the place that the fault lacks."""
    if found := _PLACED.match(fault):
        place = {"file": found["file"], "line": int(found["line"]), "column": int(found["column"])}
        return {**place, "message": found["message"]}
    found = _FILED.match(fault)
    file, message = (found["file"], found["message"]) if found else (None, fault)
    return {"file": file, "line": None, "column": None, "message": message}
