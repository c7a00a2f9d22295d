"""How much of an execution's parameters is kept, from their Bind on: nothing is held that no record will have. Pure.

Decides where they are cut. How they read in a record is record.py's.
"""

from __future__ import annotations

from pgjit.audit.event import Parameters

__all__ = ["PARAMETER_BYTES", "kept"]

PARAMETER_BYTES = 4096
"""How much of one execution's parameters is kept."""

_VALUE_COST = 4  # counted for every value besides its bytes: many empty values are bounded as well


def kept(parameters: Parameters) -> Parameters:
    """The first of them, and how many there were; the last that is kept may be the beginning of a value."""
    if parameters.count is not None:
        return parameters
    values: list[bytes | None] = []
    left = PARAMETER_BYTES
    length: int | None = None
    for value in parameters.values:
        left -= _VALUE_COST
        if left < 0:
            break
        if value is None:
            values.append(None)
            continue
        length = len(value) if len(value) > left else None
        values.append(value[:left])
        left -= len(values[-1] or b"")
    formats = parameters.formats
    return Parameters(
        values=tuple(values),
        formats=formats if len(formats) == 1 else formats[: len(values)],
        count=len(parameters.values),
        length=length,
    )
