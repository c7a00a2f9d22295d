"""How much of an execution's parameters is kept, from their Bind on: only what its record will have. Pure.

Decides where they are cut. How they are written is decided in `record.py`.
"""

from __future__ import annotations

from pgjit.audit.event import Parameters

__all__ = ["PARAMETER_BYTES", "bound", "kept"]

PARAMETER_BYTES = 4096
"""How much of one execution's parameters is kept."""

_VALUE_COST = 4  # counted for every value besides its bytes: it limits the number of empty values too


def kept(parameters: Parameters) -> Parameters:
    """The first of the values, and how many there were; the last of them may be cut."""
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
        types=parameters.types[: len(values)],
    )


def bound(values: tuple[bytes | None, ...], formats: tuple[int, ...], types: tuple[int, ...]) -> Parameters | None:
    """What is kept of the values of a Bind. None: it has none."""
    if not values:
        return None
    size = count = 0
    for value in values:
        count += 1
        size += _VALUE_COST if value is None else _VALUE_COST + len(value)
    if size > PARAMETER_BYTES or len(formats) > count or len(types) > count:
        return kept(Parameters(values=values, formats=formats, types=types))
    return Parameters(values, formats, count, None, types)
